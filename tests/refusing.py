"""Plays a case of `tests/cases/refusals*`: steps on the repository of `shipping.Shop`, the last one refused.

`steps.txt`, one step a line:

    by NAME                         whose keys are found from here on (`by nobody`)
    run WORDS                       a command that must succeed
    set FILE :: OLD :: NEW          replace text in a file
    write FILE :: TEXT              a whole file, `\\n` for line ends
    move FILE :: FILE, copy FILE :: FILE, chmod MODE FILE
    env NAME :: TEXT                a variable; $ROOT and $HOME stand for folders
    home FILE :: TEXT               a file below $HOME that only its owner can read
    stdin TEXT, stdin-hex DIGITS    what the commands from here on read
    screen                          from here on stdout is a terminal
    tamper ENV/SVC :: OLD :: NEW    replace bytes of a head in the store
    sign-twice FILE                 repeat the signature of a signed file
    alter-secret FILE               another letter in its first sealed value
    later-pin VERSION               SEALPIPE_TRUST with a lowest version
    forge FILE :: NAME :: OLD :: NEW   replace text in a signed file and sign it as NAME
    edit-with PROGRAM               the editor: a line of Python with `text`, the file's content
    rm FILE · commit · push · git WORDS · approvals · trust VERSION · unpin
    refused CODE WORDS              the command, and the code that it ends with

`expected.txt` is its stderr; commits, digests, plan ids and times are written `<commit>` and so on.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

from sealpipe.crypto.keys import Identity, SigningKey, format_public
from sealpipe.documents.read import read_yaml
from sealpipe.documents.write import dump_yaml
from sealpipe.membership.signed_files import add_signatures
from sealpipe.pins import pins_file
from sealpipe.roots import Root, pin_text
from sealpipe.trust import root_of
from shipping import Done, Shop
from team import ANNA, BEN, CARL, CI, PROJECT, git

MALLORY = Identity(b"\x66" * 32)
SIGNERS: dict[str, SigningKey] = {
    "anna": ANNA.sign, "ben": BEN.sign, "carl": CARL.sign, "ci": CI, "mallory": MALLORY.sign,
}  # fmt: skip
_WORDS = {
    "$MALLORY_SIGN": format_public("ed25519", MALLORY.sign.public),
    "$MALLORY_READ": MALLORY.read.recipient,
    "$BEN_CARD": f"sealpipe-card-1 ben {BEN.read.recipient} {format_public('ed25519', BEN.sign.public)}",
    "$OTHER_PIN": pin_text("a" * 32, Root(1, (MALLORY.sign.public,))),
    "$CARL_CARD": f"sealpipe-card-1 carl {CARL.read.recipient} {format_public('ed25519', CARL.sign.public)}",
}
_HIDDEN = (
    (r"\bst1-[a-z0-9]{4}(?:-[a-z0-9]{4})+", "st1-<pin>"),
    (r"\b[0-9a-f]{40,64}\b", "<digest>"),
    (r"\b[0-9a-f]{12}\b", "<commit12>"),
    (r"(?<= from )[0-9a-f]{7}\b", "<commit>"),  # also of a commit that is gone
    (r"\bplan [0-9a-f]{6}\b", "plan <id>"),
    (r"--plan [0-9a-f]{6}\b", "--plan <id>"),
    (r"\bis [0-9a-f]{6}\b", "is <id>"),
    (r"\b\d+ \w+ ago\b", "<when> ago"),
    (r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "<time>"),
)


class Refused(NamedTuple):
    """The last command of a case, and the files before and after it."""

    code: int  # the code expected
    done: Done
    before: dict[str, bytes]
    after: dict[str, bytes]


class Case:
    """A shop in which a case's steps are played."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.stdin = b""

    def play(self, steps: str) -> Refused:
        """Play the steps up to the refusal."""
        self.shop.become("anna")
        for line in steps.splitlines():
            verb, _, rest = line.partition(" ")
            if verb == "refused":
                code, _, words = rest.partition(" ")
                before = files(self.shop)
                done = self.type(words)
                return Refused(int(code), done, before, files(self.shop))
            self.step(verb, rest)
        raise AssertionError("the last step must be `refused`")

    def said(self, text: str) -> str:
        """Text with all that differs from run to run taken out."""
        text = text.replace(str(self.shop.root), "$ROOT").replace(os.environ["HOME"], "$HOME")
        text = text.replace(sys.executable, "$PYTHON")
        known = git(self.shop.root, "log", "--all", "--reflog", "--format=%h").split()
        text = re.sub(rf"\b(?:{'|'.join(known)})\b", "<commit>", text)
        for pattern, shown in _HIDDEN:
            text = re.sub(pattern, shown, text)
        return text

    def step(self, verb: str, rest: str) -> None:
        if verb in ("", "#"):
            return
        step = getattr(self, f"_{verb.replace('-', '_')}", None)
        assert step is not None, f"unknown step {verb}"
        parts = [self._full(part.replace("\\n", "\n")) for part in rest.split(" :: ")] if rest else []
        step(*parts)

    def _full(self, text: str) -> str:
        for name, word in {**_WORDS, "$ROOT": str(self.shop.root), "$HOME": os.environ["HOME"]}.items():
            text = text.replace(name, word)
        return text

    # ---- steps

    def _by(self, name: str) -> None:
        self.shop.become("" if name == "nobody" else name)

    def type(self, words: str) -> Done:
        """Run a command line with the stdin of the case."""
        typed = io.TextIOWrapper(io.BytesIO(self.stdin), encoding="utf-8")
        self.shop.patch.setattr(sys, "stdin", typed)
        typed_words = [word.replace("\\0", "\0") for word in shlex.split(self._full(words))]
        return self.shop.run(*typed_words)

    def _run(self, words: str) -> None:
        done = self.type(words)
        assert done.code == 0, done

    def _set(self, file: str, old: str, new: str) -> None:
        self.shop.set(file, old, new)

    def _write(self, file: str, text: str) -> None:
        self.shop.write(file, text)

    def _move(self, old: str, new: str) -> None:
        Path(self.shop.root, old).rename(Path(self.shop.root, new))

    def _copy(self, old: str, new: str) -> None:
        shutil.copy(Path(self.shop.root, old), Path(self.shop.root, new))

    def _chmod(self, words: str) -> None:
        mode, name = words.split(" ", 1)
        Path(self.shop.root, name).chmod(int(mode, 8))

    def _env(self, name: str, text: str) -> None:
        self.shop.patch.setenv(name, text)

    def _home(self, name: str, text: str) -> None:
        file = Path(os.environ["HOME"], name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0o600)

    def _stdin(self, text: str) -> None:
        self.stdin = text.encode()

    def _stdin_hex(self, digits: str) -> None:
        self.stdin = bytes.fromhex(digits)

    def _screen(self) -> None:
        self.shop.screen = True

    def _tamper(self, unit: str, old: str, new: str) -> None:
        head = self.shop.head(*unit.split("/"))
        assert old.encode() in head.read_bytes()
        head.write_bytes(head.read_bytes().replace(old.encode(), new.encode()))

    def _forge(self, file: str, name: str, old: str, new: str) -> None:
        self.shop.set(file, old, new)
        data = read_yaml(Path(self.shop.root, file).read_text(), file=file)
        kind = "KEYRING" if "keyring" in file else "TRUST"
        registry = {name: SIGNERS[name].public}
        signed = add_signatures({**data, "signatures": []}, kind, registry, [SIGNERS[name]])
        self.shop.write(file, dump_yaml(signed))

    def _sign_twice(self, file: str) -> None:
        data = read_yaml(Path(self.shop.root, file).read_text(), file=file)
        self.shop.write(file, dump_yaml({**data, "signatures": data["signatures"] * 2}))

    def _later_pin(self, version: str) -> None:
        self._env("SEALPIPE_TRUST", pin_text(PROJECT, root_of(self.shop.trust), int(version)))

    def _alter_secret(self, file: str) -> None:
        """The last letter but a few of a sealed value becomes another one."""
        text = Path(self.shop.root, file).read_text()
        token = re.search(r"ENC\[.*?]", text)
        assert token is not None
        at = token.end() - 8
        self.shop.write(file, text[:at] + ("B" if text[at] == "A" else "A") + text[at + 1 :])

    def _edit_with(self, line: str) -> None:
        program = Path(os.environ["HOME"], "editor.py")
        program.write_text(
            "import pathlib, sys\nfile = pathlib.Path(sys.argv[-1])\ntext = file.read_text()\n"
            f"{line}\nfile.write_text(text)\n"
        )
        self.shop.patch.setenv("EDITOR", f"{sys.executable} {program}")

    def _rm(self, file: str) -> None:
        Path(self.shop.root, file).unlink()

    def _commit(self) -> None:
        self.shop.commit()

    def _push(self) -> None:
        self.shop.push()

    def _git(self, words: str) -> None:
        git(self.shop.root, *shlex.split(words))

    def _approvals(self) -> None:
        self.shop.approvals()

    def _trust(self, version: str) -> None:
        self.shop.trust_now(version=int(version))
        self.shop.push()

    def _unpin(self) -> None:
        pins_file(os.environ).unlink()


def files(shop: Shop) -> dict[str, bytes]:
    """Every file of the repository but git's own, and of its store the heads and nothing else."""
    found = {}
    for path in sorted(shop.root.rglob("*")):
        inside = path.relative_to(shop.root).parts
        if ".git" in inside or (".sealpipe" in inside and "heads" not in inside):
            continue
        if path.is_file():
            found["/".join(inside)] = path.read_bytes()
    return found

"""Every refusal of plan, publish, rollback, approve and adopt: a folder each, with the exact text.

`steps.txt`, one step a line, on the repository of `shipping.Shop`; the last one must be refused:

    by NAME                         whose keys are found from here on (`by nobody`)
    run WORDS                       a command that must succeed
    set FILE :: OLD :: NEW          replace text in a file
    write FILE :: TEXT              a whole file, `\\n` for line ends
    tamper ENV/SVC :: OLD :: NEW    replace bytes of a head in the store
    rm FILE · commit · push · git WORDS · approvals · trust VERSION
    refused CODE WORDS              the command, and the code that it ends with

`expected.txt` is its stderr; commits, digests, plan ids and times are written `<commit>` and so on.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from shipping import Done, Shop
from team import git

CASES = Path(__file__).parent.parent / "cases" / "refusals"
NAMES = sorted(folder.name for folder in CASES.iterdir() if folder.is_dir())
_HIDDEN = (
    (r"\b[0-9a-f]{40,64}\b", "<digest>"),
    (r"\b[0-9a-f]{12}\b", "<commit12>"),
    (r"\b(?=[0-9a-f]*[0-9])[0-9a-f]{7}\b", "<commit>"),
    (r"\bplan [0-9a-f]{6}\b", "plan <id>"),
    (r"--plan [0-9a-f]{6}\b", "--plan <id>"),
    (r"\bis [0-9a-f]{6}\b", "is <id>"),
    (r"\b\d+ \w+ ago\b", "<when> ago"),
    (r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "<time>"),
)


def said(text: str) -> str:
    for pattern, shown in _HIDDEN:
        text = re.sub(pattern, shown, text)
    return text


def heads(shop: Shop) -> dict[str, bytes]:
    store = Path(shop.root, ".sealpipe")
    return {str(file): file.read_bytes() for file in store.glob("*/*/heads/*")}


def play(shop: Shop, steps: str) -> tuple[int, Done, dict[str, bytes]]:
    """Play the steps: the code expected, how the last command ended, and the heads before it."""
    shop.become("anna")
    for line in steps.splitlines():
        verb, _, rest = line.partition(" ")
        if verb == "refused":
            code, _, words = rest.partition(" ")
            before = heads(shop)
            return int(code), shop.run(*shlex.split(words)), before
        step(shop, verb, rest)
    raise AssertionError("the last step must be `refused`")


def step(shop: Shop, verb: str, rest: str) -> None:
    parts = [part.replace("\\n", "\n") for part in rest.split(" :: ")]
    match verb:
        case "by":
            shop.become("" if rest == "nobody" else rest)
        case "run":
            shop.ok(*shlex.split(rest))
        case "set":
            shop.set(*parts)
        case "write":
            shop.write(*parts)
        case "tamper":
            head = shop.head(*parts[0].split("/"))
            assert parts[1].encode() in head.read_bytes()
            head.write_bytes(head.read_bytes().replace(parts[1].encode(), parts[2].encode()))
        case "rm":
            Path(shop.root, rest).unlink()
        case "commit":
            shop.commit()
        case "push":
            shop.push()
        case "git":
            git(shop.root, *shlex.split(rest))
        case "approvals":
            shop.approvals()
        case "trust":
            shop.trust_now(version=int(rest))
            shop.push()
        case "" | "#":
            pass
        case _:
            raise AssertionError(f"unknown step {verb}")


@pytest.mark.parametrize("name", NAMES)
def test_refused_with_exactly_this_text(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "shop"
    folder.mkdir()
    shop = Shop(folder, monkeypatch, capsys)
    code, done, before = play(shop, (CASES / name / "steps.txt").read_text())
    assert done.code == code, done
    assert said(done.err) == (CASES / name / "expected.txt").read_text()
    assert "Traceback" not in done.err
    assert "ENC[" not in done.err + done.out
    assert heads(shop) == before  # nothing half done


@pytest.mark.parametrize("name", NAMES)
def test_every_case_ends_with_a_refusal(name: str) -> None:
    steps = (CASES / name / "steps.txt").read_text().splitlines()
    assert steps[-1].startswith("refused ")
    assert re.search(
        r"^(?:error|warning)\[[a-z-]+\]", (CASES / name / "expected.txt").read_text(), re.MULTILINE
    )

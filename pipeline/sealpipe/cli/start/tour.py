"""The tour: real commands as real processes in a folder of its own, each one checked.

`CHAPTERS` is the script, `play` performs one of them. A command that ends with another code, or does not
say what it should, is a difference; who plays decides what to do about it.
"""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from sealpipe.frozen import NamedTuple

SERVICE = """\
from pydantic import BaseModel, SecretStr
from sealpipe import PublishedSettings, load

class Db(BaseModel):
    host: str
    pool_max: int
    password: SecretStr

class Checkout(PublishedSettings):  # an ordinary pydantic-settings class
    db: Db

settings = load(Checkout)
print(f"service   runs: pool_max {settings.db.pool_max}, password {settings.db.password}")
"""
BY_HAND = """\
import sys
from sealpipe.stores.base import Put
from sealpipe.stores.registry import open_store

url, key, old, new = sys.argv[1:]
store, prefix = open_store(url, base=".")
entry = store.get(prefix + key, fresh=True)
store.write([Put(prefix + key, entry.value.replace(old.encode(), new.encode()), entry.version)])
"""
# What a store needs to let us in stays; what is the person's own does not.
_PERSONAL = re.compile(r"(SEALPIPE_(?!ZK_)|SOPS_|GIT_|XDG_|CHECKOUT__)")
_TIMEOUT = 60


class Command(NamedTuple):
    """A command line as it is shown, and what must come of it."""

    shown: str
    says: tuple[str, ...] = ()  # pieces of text that its output must hold
    code: int = 0
    stdin: str = ""
    never: tuple[str, ...] = ()  # pieces of text that must not be there


class Chapter(NamedTuple):
    title: str
    commands: tuple[Command, ...]


_STORE = "file:.sealpipe/store"
_START = ". ../service.env && python ../service.py"
_HEAD = ".sealpipe/store/dev/heads/checkout"
_DOCUMENT = "environments/dev/checkout.yaml"

CHAPTERS = (
    Chapter(
        "a repository, and one key that is yours",
        (Command("sealpipe init", says=("made your key", "sealpipe.yaml")),),
    ),
    Chapter(
        "a service with two values and a secret",
        (
            Command("sealpipe add service checkout --in dev", says=("schemas/checkout.schema.json",)),
            Command("sealpipe set dev/checkout db.host localhost", says=("db.host",)),
            Command("sealpipe set dev/checkout db.pool_max 10", says=("db.pool_max",)),
            Command("sealpipe set dev/checkout db.password --secret --random 24", says=("sealed",)),
            Command(f"cut -c 1-72 {_DOCUMENT}", says=("pool_max: 10", "password: ENC[NACL1,type:str,")),
        ),
    ),
    Chapter(
        "a key for the service; then checked, planned, signed, published",
        (
            Command("sealpipe validate", says=("no errors",)),
            Command(
                "sealpipe connect dev/checkout --as env > ../service.env",
                says=("made", "granted"),
            ),
            Command("sealpipe plan dev", says=("new", "secret added")),
            Command("sealpipe publish dev", says=("published  checkout #1",)),
        ),
    ),
    Chapter(
        "a service, in a process of its own, gets typed settings with the secret opened",
        (Command(_START, says=("pool_max 10, password ****",)),),
    ),
    Chapter(
        "a value changes, and the plan says what will happen",
        (
            Command("sealpipe set dev/checkout db.pool_max 20", says=("10 → 20",)),
            Command("sealpipe plan dev", says=("#1 → #2", "db.pool_max  10 → 20")),
            Command("sealpipe publish dev", says=("published  checkout #2", "undo:")),
            Command(_START, says=("pool_max 20",)),
        ),
    ),
    Chapter(
        "it was wrong: back in one command, and the bad value stays out",
        (
            Command("sealpipe rollback dev/checkout --yes", says=("20 → 10", "held")),
            Command(_START, says=("pool_max 10",)),
            Command("sealpipe publish dev", says=("held", "db.pool_max is still 20 here")),
            Command("sealpipe set dev/checkout db.pool_max 30", says=("20 → 30",)),
            Command("sealpipe publish dev", says=("published  checkout #4",)),
            Command(_START, says=("pool_max 30",)),
        ),
    ),
    Chapter(
        "a wrong type is stopped before it is published",
        (
            Command(f"sed 's/: 30/: ten/' {_DOCUMENT} > ../edited && cp ../edited {_DOCUMENT}"),
            Command("sealpipe publish dev", code=4, says=("error[wrong-type]", f"{_DOCUMENT}:4:13")),
            Command("sealpipe set dev/checkout db.pool_max 30", says=("ten → 30",)),
        ),
    ),
    Chapter(
        "somebody edits the store by hand",
        (
            Command(f'sed \'s/"pool_max":30/"pool_max":99/\' {_HEAD} > ../edited && cp ../edited {_HEAD}'),
            Command(_START, says=("from cache", "pool_max 30"), never=("pool_max 99",)),
            Command("sealpipe publish dev", code=6, says=("error[broken-head]",)),
            Command("sealpipe publish dev --repair-head", says=("published  checkout #5",)),
        ),
    ),
    Chapter(
        "somebody copies a sealed password to another service",
        (
            Command("sealpipe add service mailer --in dev", says=("environments/dev/mailer.yaml",)),
            Command("cp schemas/checkout.schema.json schemas/mailer.schema.json"),
            Command(f"cp {_DOCUMENT} environments/dev/mailer.yaml"),
            Command("sealpipe validate", code=4, says=("error[moved-secret]", "dev/checkout db.password")),
        ),
    ),
)


def own_place(url: str) -> str:
    """A place of its own in a store: the URL with one more folder in its path, before any `?`."""
    address, question, query = url.partition("?")
    return f"{address.rstrip('/')}/sealpipe-demo-{secrets.token_hex(4)}{question}{query}"


def chapters(url: str = "") -> tuple[Chapter, ...]:
    """The script; with a store's URL, releases go there, and the hand that edits it goes there too."""
    if not url:
        return CHAPTERS
    first, *rest = CHAPTERS
    escaped = url.replace("\\", "\\\\").replace("&", "\\&")  # what sed would take for something else
    moved = Command(
        f"sed 's|{_STORE}|\"{escaped}\"|' sealpipe.yaml > ../edited && cp ../edited sealpipe.yaml"
        " && grep publish_to sealpipe.yaml",
        says=(url,),
    )
    made = first._replace(commands=(*first.commands, moved))
    return (
        made,
        *(chapter._replace(commands=tuple(_there(c, url) for c in chapter.commands)) for chapter in rest),
    )


def _there(command: Command, url: str) -> Command:
    if _HEAD not in command.shown:
        return command
    old, new = '"pool_max":30', '"pool_max":99'
    return command._replace(shown=f"python ../by_hand.py '{url}' dev/heads/checkout '{old}' '{new}'")


class Played(NamedTuple):
    """One command as it went. `difference` is empty when all was as it should be."""

    command: Command
    code: int
    output: str
    difference: str


class Stage(NamedTuple):
    """Where a tour happens. `environ` has a home of its own: the person's keys and settings stay out."""

    folder: Path
    environ: Mapping[str, str]

    @property
    def repository(self) -> Path:
        return self.folder / "shop"


def prepare(folder: Path) -> Stage:
    """Make the folders and the service's program. The repository itself is made by the tour's commands."""
    kept = {name: value for name, value in os.environ.items() if not _PERSONAL.match(name)}
    home = folder / "home"
    environ = {
        **kept,
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_CACHE_HOME": str(home / "cache"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "NO_COLOR": "1",
    }
    for name, file in (("AWS_SHARED_CREDENTIALS_FILE", "credentials"), ("AWS_CONFIG_FILE", "config")):
        environ.setdefault(name, str(Path.home() / ".aws" / file))  # with another home they are not found
    for role in ("AUTHOR", "COMMITTER"):
        environ |= {f"GIT_{role}_NAME": "Anna", f"GIT_{role}_EMAIL": "anna@example.org"}
    stage = Stage(folder, environ)
    for made in (home, stage.repository):
        made.mkdir(parents=True)
    (stage.folder / "service.py").write_text(SERVICE, encoding="utf-8")
    (stage.folder / "by_hand.py").write_text(BY_HAND, encoding="utf-8")
    return stage


def play(chapter: Chapter, stage: Stage) -> Iterator[Played]:
    """Run a chapter's commands one after the other."""
    for command in chapter.commands:
        code, output = _run(command, stage)
        yield Played(command, code, output, _difference(command, code, output))


def _run(command: Command, stage: Stage) -> tuple[int, str]:
    """`sealpipe` and `python` in a shown command are this very Python; the rest is /bin/sh's."""
    ours = f"'{sys.executable}'"
    script = f'sealpipe() {{ {ours} -m sealpipe "$@"; }}\npython() {{ {ours} "$@"; }}\n{command.shown}\n'
    done = subprocess.run(
        ["/bin/sh", "-c", script],
        cwd=stage.repository,
        env=dict(stage.environ),
        input=command.stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_TIMEOUT,
        check=False,
    )
    return done.returncode, done.stdout


def _difference(command: Command, code: int, output: str) -> str:
    if code != command.code:
        return f"ended with {code}, not {command.code}"
    missing = [piece for piece in command.says if piece not in output]
    if missing:
        return f"does not say `{missing[0]}`"
    present = [piece for piece in command.never if piece in output]
    return f"says `{present[0]}`, which it must not" if present else ""

"""A new repository as file edits: `init`. Decides everything, writes nothing."""

from __future__ import annotations

import re
import secrets
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from sealpipe import git
from sealpipe.crypto.keys import Identity
from sealpipe.editing.writing import FileEdit
from sealpipe.errors import RefusedError
from sealpipe.frozen import NamedTuple
from sealpipe.keyrings import keyring_data, keyring_file
from sealpipe.membership.keyring_edit import keyring_header, new_keyring, signed_keyring
from sealpipe.membership.signed_files import signed_edit
from sealpipe.membership.trust_edit import TRUST_HEADER, new_trust
from sealpipe.project import SHARED, Project, is_name, parse_project
from sealpipe.trees import PROJECT_FILE
from sealpipe.trust import TRUST_FILE, Trust, parse_trust

PROJECT_TEXT = """\
# sealpipe.yaml: your environments and where each is published.   More: sealpipe help project
format: 1
project: {project}
environments:
  base: {{}}                                      # shared by all; never published
  dev:  {{publish_to: file:.sealpipe/store}}      # or a folder that services can read: file:/srv/config
"""
IGNORED = (".sealpipe/", "*.local.yaml")
ATTRIBUTES = (
    "environments/**/*.yaml text eol=lf",
    "schemas/*.json text eol=lf",
    "trust/*.yaml text eol=lf -merge linguist-generated",
)
_ATTRIBUTES_WHY = "# Files under trust/ are signed as a whole: git must not merge their lines."
HOOK = """\
#!/bin/sh
# Written by `sealpipe init`: nothing invalid and no plaintext secret gets into a commit.
if ! command -v sealpipe >/dev/null 2>&1; then
  echo "sealpipe is not on PATH: this commit is not checked" >&2
  exit 0
fi
if git rev-parse --quiet --verify HEAD >/dev/null; then
  exec sealpipe{folder} validate --changed-since HEAD
fi
exec sealpipe{folder} validate
"""


class Start(NamedTuple):
    """What `init` would write. `hook` is the hook's absolute path, or why none is installed."""

    edits: tuple[FileEdit, ...]
    trust: Trust
    hook: Path | None
    hook_text: str
    no_hook: str  # "" when one is installed, or outside git


def refuse_existing(folder: Path) -> None:
    """Raises RefusedError [exists] where a repository is already."""
    for file in (PROJECT_FILE, TRUST_FILE):
        if (folder / file).exists():
            raise RefusedError(
                "exists",
                f"there is a sealpipe repository here already: {file}",
                hint=["sealpipe doctor"],
            )


def start(folder: Path, name: str, identity: Identity, *, extra: Mapping[str, str] | None = None) -> Start:
    """A solo repository: `name` in every role, environments base and dev, their keys, git's files.

    `extra` has further files (GitHub's workflows); those that exist are kept as they are. Raises
    RefusedError [exists], UsageError [bad-name].
    """
    refuse_existing(folder)
    project = secrets.token_hex(16)
    trust_data = new_trust(project, name, identity, ["dev"])
    trust = parse_trust(trust_data)
    keyring = new_keyring(project, "dev", [SHARED], {name: identity.read.recipient})
    signed = signed_keyring(keyring_data(keyring), trust, [identity.sign])
    hook, hook_text, no_hook = hook_for(folder)
    edits = [
        FileEdit(PROJECT_FILE, None, PROJECT_TEXT.format(project=_quoted(project)).encode()),
        signed_edit(str(folder), TRUST_FILE, trust_data, TRUST_HEADER),
        signed_edit(str(folder), keyring_file("dev"), signed.data, keyring_header("dev")),
        *(_kept_folder(folder, path) for path in ("environments/base", "environments/dev", "schemas")),
        lines_edit(folder, ".gitattributes", (_ATTRIBUTES_WHY, *ATTRIBUTES)),
        lines_edit(folder, ".gitignore", IGNORED),
    ]
    for path, text in (extra or {}).items():
        if not (folder / path).exists():
            edits.append(FileEdit(path, None, text.encode()))
    return Start(tuple(edits), trust, hook, hook_text, no_hook)


def new_project() -> Project:
    """The project that `start` writes, as a value, for what is derived from it; the id is a stand-in."""
    from sealpipe.documents.read import read_yaml

    text = PROJECT_TEXT.format(project="a" * 32)
    return parse_project(read_yaml(text, file=PROJECT_FILE), lambda _: None)


def _quoted(project: str) -> str:
    # Thirty-two digits, or digits around one `e`, would be read as a number.
    return f'"{project}"' if re.fullmatch(r"[0-9]+(e[0-9]+)?", project) else project


def _kept_folder(folder: Path, path: str) -> FileEdit:
    file = f"{path}/.gitkeep"
    found = folder / file
    return FileEdit(file, found.read_bytes() if found.is_file() else None, b"")


def lines_edit(folder: Path, file: str, lines: Sequence[str]) -> FileEdit:
    """A file with these lines at its end, those that it has already left out."""
    path = folder / file
    before = path.read_bytes() if path.is_file() else None
    text = (before or b"").decode("utf-8", "surrogateescape")
    known = {line.strip() for line in text.splitlines()}
    missing = [line for line in lines if line not in known]
    if missing and text and not text.endswith("\n"):
        text += "\n"
    text += "".join(f"{line}\n" for line in missing)
    return FileEdit(file, before, text.encode("utf-8", "surrogateescape"))


def hook_for(folder: Path) -> tuple[Path | None, str, str]:
    """Where a pre-commit hook would go, its text, and why none goes there: it is never put over another."""
    there = folder
    while not there.is_dir():
        there = there.parent
    top = git.toplevel(there)
    hooks = git.hooks_folder(there) if top else None
    if top is None or hooks is None:
        return None, "", ""
    prefix = folder.resolve().relative_to(Path(top).resolve()).as_posix()
    text = HOOK.format(folder="" if prefix == "." else f" -C {shlex.quote(prefix)}")
    path = Path(hooks, "pre-commit")
    command = f"sealpipe{'' if prefix == '.' else f' -C {shlex.quote(prefix)}'} validate --changed-since HEAD"
    if path.exists() or path.is_symlink():
        return None, text, f"your pre-commit hook was kept; a line for it: {command}"
    if not _ours(Path(hooks), there, Path(top)):
        return None, text, "git's hooks folder lies outside this repository, so no hook was put into it"
    return path, text, ""


def _ours(hooks: Path, folder: Path, top: Path) -> bool:
    # core.hooksPath may point to a folder for all of a person's repositories.
    common = Path(git.run(["rev-parse", "--git-common-dir"], cwd=folder).decode().strip())
    inside = [(folder / common).resolve(), top.resolve()]
    return any(hooks.resolve().is_relative_to(place) for place in inside)


def login_name() -> str:
    """What the system calls who is logged in; "" for root, which is a role here and nobody's name."""
    import getpass

    try:
        found = getpass.getuser()
    except (KeyError, OSError):
        return ""
    return "" if found == "root" else found


def person_name(given: str, user: str) -> str:
    """A key name from what git or the system calls the person; `me` where nothing fits."""
    for text in (given, user):
        word = re.search(r"[a-z0-9]+", text.lower())
        if word and is_name(word[0]) and word[0] != "people":
            return word[0]
    return "me"

"""Where keys are found: variables, key files and commands. Nothing here decides what a key may do.

A person's key: SEALPIPE_KEY[_FILE|_CMD], SOPS_AGE_KEY[_FILE|_CMD], our configuration folder, sops' own.
A variable that is set is the only source asked. No error shows a key, a file's content or what a command
printed.
"""

from __future__ import annotations

import os
import shlex
import stat
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sealpipe.errors import TrustError, UsageError
from sealpipe.frozen import NamedTuple
from sealpipe.homes import config_folder, config_home

if TYPE_CHECKING:
    from sealpipe.crypto.keys import Identity, PrivateKey, SigningKey

Environ = Mapping[str, str]
_FILE_LIMIT = 64 * 1024
_COMMAND_TIMEOUT = 120.0
# Orchestrators mount keys there, readable by whoever is in the container.
_MOUNTS = ("/run/secrets/", "/var/run/secrets/")


class Found(NamedTuple):
    """A person's keys and where they were, as people write it."""

    identities: tuple[Identity, ...]
    source: str


def key_file(environ: Environ) -> Path:
    """Where `init` and `keys new` put a person's key."""
    return Path(config_folder(environ), "key.txt")


def _home(environ: Environ) -> Path:
    return Path(environ.get("HOME") or "/nonexistent")


def _key_files(environ: Environ) -> Iterator[Path]:
    yield key_file(environ)
    yield Path(config_home(environ), "sops/age/keys.txt")
    if sys.platform == "darwin":
        yield _home(environ) / "Library/Application Support/sops/age/keys.txt"


def locate(environ: Environ, *, explicit: str | None = None) -> Found | None:
    """Every key of the first source that has one. `explicit` is a key file named by the user.

    Raises TrustError for a source that is set and unusable: no file, too open a file, not a key.
    """
    if explicit is not None:
        return Found(_parse(read_key_file(Path(explicit).expanduser(), environ), explicit), explicit)
    for name in ("SEALPIPE_KEY", "SOPS_AGE_KEY"):
        got = _from_variables(environ, name)
        if got is not None:
            return Found(_parse(*got), got[1])
    for path in _key_files(environ):
        if path.exists():
            shown = _shown(path, environ)
            return Found(_parse(read_key_file(path, environ), shown), shown)
    return None


def find_identity(
    environ: Environ, *, explicit: str | None = None, known: Collection[str] = ()
) -> Identity | None:
    """A person's key: of several, the first whose recipient is among `known`, else the first."""
    found = locate(environ, explicit=explicit)
    if found is None:
        return None
    fitting = [identity for identity in found.identities if identity.read.recipient in known]
    return (fitting or list(found.identities))[0]


def need_identity(environ: Environ, *, known: Collection[str] = ()) -> Identity:
    """As `find_identity`. Raises TrustError [no-key] where there is none."""
    found = find_identity(environ, known=known)
    if found is None:
        raise TrustError(
            "no-key",
            "you have no key here",
            why=["looked at SEALPIPE_KEY and SOPS_AGE_KEY (also _FILE, _CMD), and the key files of both"],
            hint=["sealpipe keys new"],
        )
    return found


def find_signing_key(environ: Environ, *, known: Collection[str] = ()) -> SigningKey | None:
    """SEALPIPE_SIGNING_KEY[_FILE|_CMD]; without it, the one derived from the person's key."""
    return next(iter(find_signing_keys(environ, known=known)), None)


def find_signing_keys(environ: Environ, *, known: Collection[str] = ()) -> tuple[SigningKey, ...]:
    """Every key that can sign here: the one in SEALPIPE_SIGNING_KEY first, then the person's."""
    found: list[SigningKey] = []
    got = _from_variables(environ, "SEALPIPE_SIGNING_KEY")
    if got is not None:
        lines = [line for line in _lines(got[0]) if line]
        if len(lines) != 1:
            raise TrustError("malformed-key", f"{got[1]} must hold one signing key")
        from sealpipe.crypto.keys import parse_signing_key

        found.append(parse_signing_key(lines[0]))
    person = find_identity(environ, known=known)
    if person is not None:
        found.append(person.sign)
    return tuple(found)


def find_private_key(environ: Environ) -> PrivateKey | None:
    """A service's own reading key: SEALPIPE_KEY[_FILE|_CMD] and nothing else. Raises TrustError."""
    got = _from_variables(environ, "SEALPIPE_KEY")
    if got is None:
        return None
    lines = [line for line in _lines(got[0]) if line]
    if len(lines) != 1:
        raise TrustError("malformed-key", f"{got[1]} must hold one key (AGE-SECRET-KEY-1…)")
    from sealpipe.crypto.keys import parse_private_key

    return parse_private_key(lines[0])


def write_key(environ: Environ, text: str, recipient: str) -> str:
    """Keep a person's new key, readable by nobody else; returns the path as people write it.

    Raises UsageError [key-exists]: a key is never overwritten, what it opens would be lost.
    """
    from sealpipe.files import write_once

    path = key_file(environ)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    note = "# sealpipe key; keep a copy where only you can reach it"
    there = False
    try:
        write_once(path, f"{note}\n# public key: {recipient}\n{text}\n".encode("ascii"))
    except FileExistsError:
        there = True
    if there:
        raise UsageError("key-exists", f"there is a key already: {_shown(path, environ)}")
    return _shown(path, environ)


# ---- sources


def _from_variables(environ: Environ, name: str) -> tuple[str, str] | None:
    """The text that NAME, NAME_FILE or NAME_CMD leads to, and which of them it was."""
    if environ.get(name):
        return environ[name], name
    if environ.get(f"{name}_FILE"):
        return read_key_file(Path(environ[f"{name}_FILE"]).expanduser(), environ), f"{name}_FILE"
    if environ.get(f"{name}_CMD"):
        return _run(environ[f"{name}_CMD"], f"{name}_CMD"), f"{name}_CMD"
    return None


def read_key_file(path: Path, environ: Environ) -> str:
    """A key file's text. Raises TrustError [no-key-file], [open-key-file] or [malformed-key]."""
    shown = _shown(path, environ)
    problem = ""
    data = b""
    try:
        with path.open("rb") as file:
            _check_mode(path, os.fstat(file.fileno()), shown)
            data = file.read(_FILE_LIMIT + 1)
    except OSError as error:
        problem = error.strerror or "cannot be read"
    if problem:
        what = f"the key file {shown} cannot be read: {problem}"
        raise TrustError("no-key-file", what, hint=[f"ls -l {shlex.quote(str(path))}"])
    if len(data) > _FILE_LIMIT or b"\0" in data or not data.isascii():
        # Comments may hold any letters; a key may not.
        text = data[:_FILE_LIMIT].decode("utf-8", errors="replace")
        if len(data) > _FILE_LIMIT or "\0" in text:
            what, hint = f"{shown} is not a key file", f"file {shlex.quote(str(path))}"
            raise TrustError("malformed-key", what, hint=[hint])
        return text
    return data.decode("ascii")


def _check_mode(path: Path, found: os.stat_result, shown: str) -> None:
    if not stat.S_ISREG(found.st_mode) or not found.st_mode & 0o077:
        return
    mounted = str(path.absolute()).startswith(_MOUNTS)
    if mounted or found.st_uid != os.geteuid():
        return  # not ours to change
    raise TrustError(
        "open-key-file",
        f"the key file {shown} can be read by others on this machine",
        hint=[f"chmod 600 {shlex.quote(str(path))}"],
    )


def _run(command: str, name: str) -> str:
    """What a command prints. Its errors go to the terminal; what it printed goes nowhere else."""
    import subprocess

    problem = ""
    output = b""
    try:
        done = subprocess.run(
            shlex.split(command), stdout=subprocess.PIPE, timeout=_COMMAND_TIMEOUT, check=False
        )
        output = done.stdout
        problem = f"ended with code {done.returncode}" if done.returncode else ""
    except FileNotFoundError:
        problem = "names a program that is not there"
    except subprocess.TimeoutExpired:
        problem = f"did not end within {_COMMAND_TIMEOUT:.0f} s"
    except (OSError, ValueError):
        problem = "cannot be run"
    if problem:
        raise TrustError("key-command", f"the command in {name} {problem}")
    return output.decode("utf-8", errors="replace")


def _shown(path: Path, environ: Environ) -> str:
    home = environ.get("HOME")
    if home and path.is_relative_to(home):
        return f"~/{path.relative_to(home)}"
    return str(path)


# ---- text


def _lines(text: str) -> list[str]:
    """The lines of a key file; comments and blank ones are empty."""
    return ["" if line.lstrip().startswith("#") else line.strip() for line in text.splitlines()]


def _parse(text: str, source: str) -> tuple[Identity, ...]:
    """Every plain age key of a file. Other kinds beside one are passed over, alone they are an error."""
    from sealpipe.crypto.keys import parse_identity

    found: list[Identity] = []
    refused: TrustError | None = None
    for number, line in enumerate(_lines(text), start=1):
        if not line:
            continue
        problem: TrustError | None = None
        try:
            found.append(parse_identity(line))
        except TrustError as error:
            problem = error
        if problem is not None and problem.word == "unsupported-key":
            refused = refused or problem
        elif problem is not None:
            if refused is not None and not found:
                break  # the body of an SSH key or an encrypted file
            raise TrustError(problem.word, f"{source} line {number}: {problem.finding.what}")
    if not found:
        raise refused or TrustError("malformed-key", f"{source} holds no key (AGE-SECRET-KEY-1…)")
    return tuple(found)

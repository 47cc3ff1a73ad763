"""Where a new private key goes: shown once on a terminal, into a file of its own, or to a command."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sealpipe.cli import output
from sealpipe.cli.options import Common
from sealpipe.errors import RefusedError, SealpipeError, UsageError
from sealpipe.files import write_once

if TYPE_CHECKING:
    from sealpipe.membership.trust_edit import TrustEdit


def keep_recovery(opts: Common, edit: TrustEdit | None, file: str | None) -> None:
    """Hand over a new recovery root key, once, before anything is written.

    On a terminal it is shown, elsewhere it needs `--recovery-to FILE`: RefusedError [no-terminal].
    """
    if edit is None or edit.recovery is None or opts.dry_run:
        return
    if file is not None:
        write_key_file(Path(file).expanduser(), edit.recovery)
        told = f"in {file}; move it to where nobody reads it day by day"
    elif sys.stderr.isatty():
        # Shown under -q too: it exists nowhere else.
        print(f"\nrecovery   {edit.recovery}\n", file=sys.stderr)
        told = "shown once: keep it offline, in a safe or a password manager that more than one person opens"
    else:
        raise RefusedError(
            "no-terminal",
            "from now on this project has a recovery root key, and there is no terminal to show it on",
            why=["it is what remains when the people who are root are gone; it is never kept here"],
            hint=["the same command with --recovery-to FILE"],
        )
    output.note(opts, f"recovery   root key `{edit.recovery_name}`, {told}")


def write_key_file(path: Path, text: str) -> None:
    """A key into a new file that only its owner reads. UsageError [key-exists] when it is there already."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    there = False
    try:
        write_once(path, f"{text}\n".encode("ascii"))
    except FileExistsError:
        there = True
    if there:
        raise UsageError("key-exists", f"{path} is there already; a key is never overwritten")


def keep_out_of_git(folder: Path) -> None:
    """A folder for keys inside a repository: only its owner enters, and git ignores all of it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    rule = folder / ".gitignore"
    if not rule.exists():
        rule.write_text("*\n")


def hand_over(text: str, to: str) -> str:
    """Give a key to a command's stdin, or write it to a file; returns what to tell.

    Words separated by spaces, or the name of a program on PATH, are a command; it is run without a shell.
    SealpipeError [key-to] when it fails: then nothing was changed.
    """
    try:
        words = shlex.split(to)
    except ValueError:
        words = []
    if not words:
        raise UsageError("usage", "--key-to is a command or a file")
    if len(words) == 1 and ("/" in to or shutil.which(to) is None):
        write_key_file(Path(to).expanduser(), text)
        return to
    problem = ""
    try:
        done = subprocess.run(words, input=f"{text}\n".encode(), stdout=sys.stderr, check=False)
        problem = f"ended with code {done.returncode}" if done.returncode else ""
    except OSError as error:
        problem = error.strerror or "cannot be run"
    if problem:
        raise SealpipeError("key-to", f"{words[0]} {problem}; nothing was changed")
    return f"{words[0]}, nowhere else"

"""`sealpipe …` in this process: what it printed, and how it ended."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

from sealpipe.cli.main import main


class Done(NamedTuple):
    code: int
    out: str
    err: str


class _Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


class Terminal:
    """A folder to type commands in. Not a terminal to the command: stdin is what is given."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shows = False  # whether stdout is a terminal to the command

    def __call__(self, *words: str, stdin: bytes = b"", ok: bool = True) -> Done:
        """Run a command; with `ok` it must end with 0."""
        done = self.run(*words, stdin=stdin)
        assert not ok or done.code == 0, f"{words} ended with {done.code}\n{done.err}"
        return done

    def fail(self, code: int, *words: str, stdin: bytes = b"") -> Done:
        """Run a command that must end with `code`."""
        done = self.run(*words, stdin=stdin)
        assert done.code == code, f"{words} ended with {done.code}, not {code}\n{done.out}{done.err}"
        return done

    def run(self, *words: str, stdin: bytes = b"") -> Done:
        here = Path.cwd()
        out, err = _Screen() if self.shows else io.StringIO(), io.StringIO()
        typed = io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8")
        os.chdir(self.folder)
        try:
            with patch.multiple(sys, stdin=typed, stdout=out, stderr=err):
                code = main(list(words))
        finally:
            os.chdir(here)
        return Done(code, out.getvalue(), err.getvalue())

    def text(self, file: str) -> str:
        return (self.folder / file).read_text(encoding="utf-8")

    def write(self, file: str, text: str) -> None:
        path = self.folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def files(self) -> dict[str, bytes]:
        """Everything in the folder but git's and sealpipe's own."""
        return {
            str(path.relative_to(self.folder)): path.read_bytes()
            for path in sorted(self.folder.rglob("*"))
            if path.is_file() and not {".git", ".sealpipe"} & set(path.relative_to(self.folder).parts)
        }


def new_repository(folder: Path, *services: str) -> Terminal:
    """A repository by `init`, with services in dev."""
    folder.mkdir(parents=True, exist_ok=True)
    terminal = Terminal(folder)
    terminal("init", "--name", "anna")
    for service in services:
        terminal("add", "service", service, "--in", "dev")
    return terminal

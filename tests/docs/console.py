"""Runs the ```console blocks of a Markdown page and compares what they print.

Everything on a page runs in order in one new folder; `cd` and exported variables carry on. In a block:

    $ command            runs in bash; a line that ends in a backslash goes on, as do lines that begin
                         with `> `
    output               what it prints on stdout and stderr; `…` stands for any text within a line,
                         a line that is only `…` for any number of lines
    $ echo $?            with its number shown is how a command may fail; any other one must end with 0

A comment on the line before a code block says what readers need not see:

    <!-- docs-test: skip WHY -->        the block is not run
    <!-- docs-test: file NAME -->       a block of any language is written to NAME
    <!-- docs-test: types TEXT -->      each command of the block runs on a terminal where TEXT is typed
                                        (`\\n` ends a line)
    <!-- docs-test: stdin TEXT -->      each command of the block reads TEXT
    <!-- docs-test: run
    COMMANDS
    -->                                 set-up, run silently; must end with 0
"""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_NOTE = re.compile(r"<!-- docs-test: (?P<word>skip|file|types|stdin|run)(?P<rest>.*?)-->", re.DOTALL)
_FENCE = re.compile(r"^(?P<indent> *)(?P<ticks>```+)(?P<language>[\w-]*)\s*$")
_ANSI = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
ANY = "…"


@dataclass(frozen=True)
class Part:
    """A code block, or a set-up comment (`language` is "run"), with the note above it."""

    line: int
    language: str
    text: str
    note: str = ""
    argument: str = ""


@dataclass(frozen=True)
class Command:
    line: int
    text: str
    expected: tuple[str, ...]


class Wrong(AssertionError):
    """A page says something that is not so."""


def parts(page: str) -> list[Part]:
    """The code blocks of a page that matter here, in order."""
    found: list[Part] = []
    lines = page.splitlines()
    note, argument, at = "", "", 0
    while at < len(lines):
        line = lines[at]
        if line.startswith("<!-- docs-test:"):
            end = next(i for i in range(at, len(lines)) if "-->" in lines[i])
            match = _NOTE.fullmatch("\n".join(lines[at : end + 1]).strip())
            if not match:
                raise Wrong(f"line {at + 1}: not a docs-test comment that is known: {line}")
            if match["word"] == "run":
                found.append(Part(at + 1, "run", match["rest"].strip("\n")))
            else:
                note, argument = match["word"], match["rest"].strip()
            at = end + 1
            continue
        fence = _FENCE.match(line)
        if fence:
            end = next(
                (i for i in range(at + 1, len(lines)) if lines[i].strip() == fence["ticks"]), len(lines)
            )
            indent = len(fence["indent"])
            text = "\n".join(body[indent:] for body in lines[at + 1 : end])
            found.append(Part(at + 2, fence["language"], text, note, argument))
            note, argument, at = "", "", end + 1
            continue
        if line.strip() and note:
            raise Wrong(f"line {at + 1}: a docs-test comment must stand directly above a code block")
        at += 1
    return found


def commands(part: Part) -> list[Command]:
    """The commands of a console block with what is expected of each."""
    found: list[Command] = []
    line_number, text, expected = 0, "", list[str]()
    goes_on = False
    for offset, line in enumerate(part.text.splitlines()):
        if goes_on or (text and not expected and line.startswith("> ")):
            text += "\n" + line.removeprefix("> ")
            goes_on = line.endswith("\\")
        elif line.startswith("$ "):
            if text:
                found.append(Command(line_number, text, tuple(expected)))
            line_number, text, expected = part.line + offset, line[2:], []
            goes_on = line.endswith("\\")
        elif not text:
            raise Wrong(f"line {part.line + offset}: a console block begins with `$ `")
        else:
            expected.append(line)
    if text:
        found.append(Command(line_number, text, tuple(expected)))
    return found


def matches(expected: tuple[str, ...], printed: str) -> bool:
    """Whether the output is what the page shows, blank lines at both ends aside."""
    pattern = ""
    for line in "\n".join(expected).strip("\n").split("\n"):
        if line.strip() == ANY:
            pattern += r"(?:[^\n]*\n)*"
        else:
            pattern += r"[^\n]*".join(
                re.escape(piece.rstrip() if last else piece) for piece, last in _pieces(line)
            )
            pattern += r"[ \t]*\n"
    return re.fullmatch(pattern, _plain(printed)) is not None


def _pieces(line: str) -> Iterator[tuple[str, bool]]:
    pieces = line.split(ANY)
    for index, piece in enumerate(pieces):
        yield piece, index == len(pieces) - 1


def _plain(printed: str) -> str:
    return _ANSI.sub("", printed).replace("\r\n", "\n").strip("\n") + "\n"


class Shell:
    """One bash after the other with folder, exported variables and last exit code carried on."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self.folder = folder
        self.environ = dict(environ)
        self.code = 0
        self.state = folder.parent / f"{folder.name}.shell"
        self.state.mkdir()

    def run(self, command: str, *, stdin: str = "", types: str | None = None) -> tuple[int, str]:
        script = (
            f"(exit {self.code})\n{command}\n"
            f'code=$?; pwd > "{self.state}/cwd"; env -0 > "{self.state}/env"; exit $code'
        )
        arguments = ["bash", "--noprofile", "--norc", "-c", script]
        if types is None:
            done = subprocess.run(
                arguments,
                cwd=self.folder,
                env=self.environ,
                input=stdin.encode(),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=120,
                check=False,
            )
            self.code, output = done.returncode, done.stdout
        else:
            self.code, output = _on_a_terminal(arguments, self.folder, self.environ, types)
        if (self.state / "env").exists():
            pairs = (self.state / "env").read_bytes().decode().split("\0")
            self.environ = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
            self.environ.pop("_", None)
            self.folder = Path((self.state / "cwd").read_text().strip())
        return self.code, output.decode(errors="replace")


def _on_a_terminal(
    arguments: list[str], folder: Path, environ: Mapping[str, str], types: str
) -> tuple[int, bytes]:
    """Run with a pseudo-terminal; each line of `types` is typed once the program waits."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        arguments, cwd=folder, env=environ, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    output = b""
    waiting = types.replace("\\n", "\n").split("\n")
    until = time.monotonic() + 60
    try:
        while time.monotonic() < until:
            # Typed only after the program has fallen silent: what comes earlier would be echoed in clear.
            ready, _, _ = select.select([ours], [], [], 0.8)
            if ready:
                try:
                    data = os.read(ours, 4096)
                except OSError:
                    break
                if not data:
                    break
                output += data
            elif process.poll() is None and waiting and output:
                os.write(ours, waiting.pop(0).encode() + b"\n")
        return process.wait(timeout=10), output
    finally:
        process.kill()
        os.close(ours)


def run_page(page: str, shell: Shell) -> int:
    """Run a page; returns how many commands ran. Raises Wrong with the line and both texts."""
    ran = 0
    for part in parts(page):
        if part.note == "skip":
            if not part.argument:
                raise Wrong(f"line {part.line}: say why this block is skipped")
        elif part.language == "run":
            shell.code = 0
            code, output = shell.run(part.text)
            if code:
                raise Wrong(f"line {part.line}: the set-up ended with {code}:\n{output}")
        elif part.note == "file":
            file = shell.folder / part.argument
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(part.text + "\n", encoding="utf-8")
        elif part.language == "console":
            ran += _run_block(part, shell)
    return ran


def _run_block(part: Part, shell: Shell) -> int:
    block = commands(part)
    for index, command in enumerate(block):
        stdin = part.argument.replace("\\n", "\n") if part.note == "stdin" else ""
        types = part.argument if part.note == "types" else None
        code, output = shell.run(command.text, stdin=stdin, types=types)
        asked = index + 1 < len(block) and block[index + 1].text.split("#")[0].strip() == "echo $?"
        if code and not asked:
            raise Wrong(f"line {command.line}: $ {command.text}\nended with {code}:\n{output}")
        if not matches(command.expected, output):
            expected = "\n".join(command.expected)
            raise Wrong(
                f"line {command.line}: $ {command.text}\nthe page:\n{expected}\nit printed:\n{output}"
            )
    return len(block)

"""Everything that is printed or asked. Data goes to stdout, all else to stderr.

`echo` prints a command's result; `note` says what was done (silenced by -q); `show_findings` prints
errors and warnings; `confirm` and `ask_hidden` ask. Nothing here sees a secret except `ask_hidden`,
which returns it, and `echo` when a command was told to reveal one.
"""

from __future__ import annotations

import os
import re
import sys
import time
from _thread import allocate_lock
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from sealpipe.errors import Finding, RefusedError, SealpipeError

TYPE_CHECKING = False  # as in main.py
if TYPE_CHECKING:
    from typing import TextIO

    from sealpipe.cli.look.validating import Asked
    from sealpipe.cli.options import Common

READER_GONE = 141  # what a shell shows for a program that SIGPIPE ended
_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
# What a terminal would act on; a value or a key from a file must not move the cursor.
# Both are compiled when they are first needed: together they cost more than most of a start.
_CONTROL = r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]"
_OUR_COMMAND = r"(?<![\w/.-])sealpipe (?=[a-z])"


def reader_gone() -> int:
    """The reader of stdout has left (`| head`): nothing more is written there. Gives the exit code."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return READER_GONE


def wants_color(choice: object, stream: TextIO) -> bool:
    """Whether to colour `stream`: --color decides, then NO_COLOR, FORCE_COLOR, TERM, a terminal."""
    if choice in ("always", "never"):
        return choice == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return os.environ.get("TERM") != "dumb" and stream.isatty()


def paint(text: str, style: str, on: bool) -> str:
    """`text` in a style of `bold dim red green yellow cyan`, when `on`."""
    return f"\x1b[{_CODES[style]}m{text}\x1b[0m" if on and text else text


def clean(text: str) -> str:
    """`text` with control and direction-changing characters shown as escapes."""
    if text.isprintable():
        return text
    return re.sub(_CONTROL, lambda found: f"\\x{ord(found[0]):02x}", text)


def echo(lines: str | Iterable[str]) -> None:
    """Print a result: a string or lines, to stdout."""
    for line in [lines] if isinstance(lines, str) else lines:
        sys.stdout.write(line + "\n")
    sys.stdout.flush()


def note(opts: Common, lines: str | Iterable[str]) -> None:
    """Say what was done, on stderr; nothing under -q. With -C, its `sealpipe` commands carry the -C."""
    if not opts.quiet:
        for line in [lines] if isinstance(lines, str) else lines:
            _err(pasteable(clean(line), opts.given_folder))


def say(opts: Common | Asked, line: str) -> None:
    """Say what must be seen, on stderr, also under -q."""
    _err(pasteable(clean(line), opts.given_folder))


def pasteable(text: str, given_folder: str) -> str:
    """`sealpipe …` commands in `text` with the -C that this run was given, so that they work when pasted."""
    if not given_folder:
        return text
    import shlex

    return re.sub(_OUR_COMMAND, lambda _: f"sealpipe -C {shlex.quote(given_folder)} ", text)


def finding_lines(finding: Finding, *, color: bool = False, given_folder: str = "") -> list[str]:
    """A finding as people read it: `error[word]: where what`, why, the line of the file, hints."""
    style = "red" if finding.severity == "error" else "yellow"
    head = paint(f"{finding.severity}[{finding.word}]", style, color)
    place = f" {finding.where}" if finding.where else ""
    reach = f" (reaches {finding.reach} documents)" if finding.reach > 1 else ""
    path = clean(finding.path)
    if place and path:
        lines = [f"{head}:{place}  {path}{reach}", f"  {clean(finding.what)}"]
    else:
        lines = [f"{head}:{place} {path}{' ' if path else ''}{clean(finding.what)}{reach}"]
    if finding.source and finding.where and finding.where.line:
        shown = finding.source.split("\n")
        for number, line in enumerate(shown, start=finding.where.line - len(shown) + 1):
            lines.append(f"{number:>7} | {clean(line)}".rstrip())
        if finding.width:
            blank = " " * (max(finding.where.column, 1) - 1)
            lines.append(f"{'':>7} | {blank}{paint('^' * finding.width, style, color)}")
    lines += [f"  {clean(why)}" for why in finding.why]
    for at, hint in enumerate(finding.hint):
        label = "  hint: " if at == 0 else "        "
        lines.append(paint(label, "cyan", color) + pasteable(clean(hint), given_folder))
    return lines


def show_findings(findings: Iterable[Finding], *, color: bool | None = None, given_folder: str = "") -> None:
    """Print findings on stderr, in the order given, a blank line between them."""
    on = wants_color(None, sys.stderr) if color is None else color
    for at, finding in enumerate(findings):
        if at:
            _err("")
        for line in finding_lines(finding, color=on, given_folder=given_folder):
            _err(line)


def confirm(opts: Common, question: str, *, refused: str = "not confirmed; nothing was done") -> None:
    """Ask yes or no; --yes answers. RefusedError without a terminal, or for any answer but yes."""
    if opts.yes:
        return
    _need_terminal("a question needs an answer", "the same command with --yes")
    _err(f"{question} [y/N] ", end="")
    if _answer().strip().lower() not in ("y", "yes"):
        raise RefusedError("not-confirmed", refused)


def confirm_name(opts: Common, name: str) -> None:
    """Ask to type the name of a protected environment; --yes answers. Refuses like `confirm`."""
    if opts.yes:
        return
    _need_terminal(f"{name} is protected and asks for its name", "the same command with --yes")
    _err(f"{name} is protected. Type its name to go on: ", end="")
    if _answer().strip() != name:
        raise RefusedError("not-confirmed", "another name was typed; nothing was done")


def ask_hidden(label: str, *, instead: str) -> str:
    """Ask for a secret without echo, on the terminal. RefusedError naming `instead` where there is none."""
    import getpass
    import warnings

    _need_terminal("a value is needed and there is no terminal to ask on", instead)
    problem = "nothing was typed; nothing was done"
    with warnings.catch_warnings():
        # Where echo cannot be switched off, getpass only warns and goes on.
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            return getpass.getpass(label, stream=sys.stderr)
        except EOFError:
            pass
        except getpass.GetPassWarning:
            problem = "this terminal cannot hide what is typed; nothing was done"
    raise RefusedError("not-confirmed", problem, hint=[instead])


def ask(question: str) -> str | None:
    """Ask for a line on the terminal; None at the end of input."""
    _err(question, end="")
    return _answer() or None


def _need_terminal(what: str, instead: str) -> None:
    if not sys.stdin.isatty():
        raise RefusedError("no-terminal", what, hint=[instead])


def _answer() -> str:
    return sys.stdin.readline()


def _err(text: str, end: str = "\n") -> None:
    with _PEN:
        sys.stderr.write(text + end)
        sys.stderr.flush()


_PEN = allocate_lock()


@contextmanager
def progress(opts: Common, label: str) -> Iterator[Callable[[str], None]]:
    """Show `label` on a terminal once the work has taken a second; gives a function that changes it.

    Nothing is drawn under -q, without a terminal or on a dumb one, and the line is gone at the end.
    """
    if opts.quiet or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield lambda _: None
        return
    import threading

    text = [label]
    done, drawn = threading.Event(), threading.Event()

    def draw() -> None:
        started = time.monotonic()
        wait = 1.0
        while not done.wait(wait):
            drawn.set()
            _err(f"\r\x1b[K{text[0]} … {time.monotonic() - started:.0f} s", end="")
            wait = 0.2

    pen = threading.Thread(target=draw, daemon=True)
    pen.start()

    def change(label: str) -> None:
        text[0] = clean(label)

    try:
        yield change
    finally:
        done.set()
        pen.join()
        if drawn.is_set():
            _err("\r\x1b[K", end="")


def error_lines(error: SealpipeError, *, color: bool, given_folder: str = "") -> list[str]:
    """An error as lines: all findings of an InputError, otherwise the one."""
    findings: tuple[Finding, ...] = getattr(error, "findings", None) or (error.finding,)
    lines: list[str] = []
    for finding in findings:
        lines += [""] if lines else []
        lines += finding_lines(finding, color=color, given_folder=given_folder)
    return lines


def _asked(words: list[str]) -> list[str]:
    """git's arguments from its command on; what stands in front is the same every time."""
    while words and words[0].startswith("-"):
        words = words[2:] if words[0] == "-c" else words[1:]
    return words


_hearing: list[bool] = []  # empty: no hook yet; an audit hook cannot be taken out again


def run_log(*, on: bool) -> None:
    """-v: until the next command tell on stderr what is run, written and connected to; never content."""
    known = bool(_hearing)
    if known or on:
        _hearing[:] = [on]
    if known or not on:
        return
    started = time.monotonic()

    def say(text: str) -> None:
        os.write(2, f"[{time.monotonic() - started:7.3f}] {clean(text)}\n".encode(errors="replace"))

    def hear(event: str, args: tuple[object, ...]) -> None:
        if not _hearing[0]:
            return
        if event == "subprocess.Popen":
            # Only git's arguments are ours to show; other programs are named by themselves.
            words = [str(word) for word in args[1]] if isinstance(args[1], list | tuple) else []
            name = str(args[0]).rpartition("/")[2]
            import shlex

            say("run " + (shlex.join(["git", *_asked(words[1:])]) if name == "git" else name))
        elif event == "os.rename":
            say(f"write {os.fsdecode(args[1])}" if isinstance(args[1], str | bytes) else "write")
        elif event == "socket.connect":
            say(f"connect {args[1]}")

    sys.addaudithook(hear)

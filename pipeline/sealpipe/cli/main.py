"""The console script, and the conventions that every command keeps.

A command is one file of this folder named in `registry.GROUPS`. It exports `command` (made with
`options.command` or `options.group`), takes `opts: Common`, calls flows or editing, turns the result into
lines with a function of `cli/render/`, and prints with `output.echo` (data, stdout) or `output.note`
(what was done, stderr). It returns its exit code or None, and never exits, catches SealpipeError or
prints by itself: errors are caught once, here. Click is imported for a command's help, and for lines that
are not typed as they should be.
"""

from __future__ import annotations

import gc
import sys

from sealpipe.version import VERSION

TYPE_CHECKING = False  # type checkers know the name; importing typing would double the start
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sealpipe.cli.declared import Command
    from sealpipe.errors import SealpipeError

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code. -C changes the process's folder, as with git."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    alone = arguments is None
    if alone:  # most commands are over before there is anything worth a collector's look
        gc.set_threshold(20_000, 10, 10)
    try:
        code = _run(words)
        sys.stdout.flush()
        if alone:  # nor does the interpreter look through what is about to go
            gc.freeze()
    except BrokenPipeError:
        from sealpipe.cli.output import reader_gone

        return reader_gone()
    return code


def _run(words: list[str]) -> int:
    from sealpipe.cli.registry import COMMANDS, help_text, take_common

    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        early, rest = take_common(words)
    except ValueError as error:
        return _usage(str(error))
    name = rest[0] if rest else ""
    if name == "help" and rest[1:] == ["project"]:
        from sealpipe.cli.topics import PROJECT

        print(PROJECT)
        return 0
    if name == "help" and len(rest) > 1:
        name, rest = rest[1], [*rest[1:], "--help"]
    if name in COMMANDS:
        return _guarded(name, rest[1:], early)
    if name == "--version":
        print(f"sealpipe {VERSION}")
    elif name in ("--help", "-h", "help"):
        print(help_text())
    elif name:
        kind = "option" if name.startswith("-") else "command"
        return _usage(f"there is no {kind} `{name}`", _did_you_mean(name, COMMANDS))
    else:
        print(help_text(), file=sys.stderr)
    return 0 if name else 2


def _usage(what: str, hint: str = "sealpipe --help") -> int:
    print(f"error[usage]: {what}\n  hint: {hint}", file=sys.stderr)
    return 2


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    import difflib

    near = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean `sealpipe {near[0]}`?" if near else "sealpipe --help"


def _guarded(name: str, words: list[str], early: dict[str, object]) -> int:
    """Run one command; every way it can end becomes a message and a code."""
    import contextlib
    import signal

    from sealpipe.errors import SealpipeError

    with contextlib.suppress(ValueError):  # outside the main thread, whoever runs us handles signals
        signal.signal(signal.SIGTERM, _stop)
    folder = str(early.get("folder") or _folder_after(words))
    message = ""
    try:
        return _invoke(name, words, early)
    except SealpipeError as error:
        _print_error(error, early.get("color"), folder)
        return error.exit_code
    except KeyboardInterrupt:
        print("\ninterrupted; every file and release is either whole or untouched", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        raise
    except OSError as error:
        if not error.strerror:
            message = _bug(error)
        else:
            shown = f"{error.filename}: " if error.filename else ""
            message = f"error[system]: {shown}{error.strerror}"
    except Exception as error:  # noqa: BLE001  # the last place where a bug can be kept from printing locals
        message = _bug(error)
    print(message, file=sys.stderr)
    return 1


def _invoke(name: str, words: list[str], early: dict[str, object]) -> int:
    from sealpipe.cli.options import enter
    from sealpipe.cli.registry import load_command

    if early.get("folder"):
        enter(str(early["folder"]))
    command = load_command(name)
    read = command.read(words, early)
    if read is None:
        return _by_click(command, words, early)
    below, before, given = read
    try:
        code = below.call(before, given)
    except EOFError:
        raise KeyboardInterrupt from None
    return code if isinstance(code, int) else 0


def _by_click(command: Command, words: list[str], early: dict[str, object]) -> int:
    """Help, and lines that are not typed as they should be."""
    import click

    from sealpipe.cli import clicked

    try:
        code = clicked.run(command, words, early)
    except click.Abort:
        raise KeyboardInterrupt from None
    except click.ClickException as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # newer clicks only: a group alone
            print(error.format_message(), file=sys.stderr)
            return 2
        context = getattr(error, "ctx", None)
        hint = f"{context.command_path if context else f'sealpipe {command.name}'} --help"
        return _usage(clicked.text_of(error), hint)
    return code if isinstance(code, int) else 0


def _folder_after(words: Sequence[str]) -> str:
    for at, word in enumerate(words):
        if word == "--":
            break
        if word.startswith("-C"):
            return word[2:] or (words[at + 1] if at + 1 < len(words) else "")
    return ""


def _print_error(error: SealpipeError, color: object, folder: str) -> None:
    from sealpipe.cli.output import error_lines, wants_color

    for line in error_lines(error, color=wants_color(color, sys.stderr), given_folder=folder):
        print(line, file=sys.stderr)


def _bug(error: BaseException) -> str:
    """Type and place in our code, and nothing else: an exception's text and locals carry values."""
    from pathlib import Path

    package = Path(__file__).resolve().parent.parent
    place = "outside the package"
    step = error.__traceback__
    while step is not None:
        code = step.tb_frame.f_code
        file = Path(code.co_filename)
        if file.is_relative_to(package):
            place = f"{file.relative_to(package.parent)}:{step.tb_lineno} in {code.co_name}"
        step = step.tb_next
    return (
        f"error[bug]: this is a bug in sealpipe {VERSION}: {type(error).__name__} at {place}\n"
        "  nothing of your configuration is in this message; please report it as it stands\n"
        "  hint: https://github.com/sealpipe/sealpipe/issues"
    )


def _stop(number: int, _frame: object) -> None:
    # An ordinary exit, so that folders with opened secrets are swept.
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())

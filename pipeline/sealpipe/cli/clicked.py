"""Click, made from what commands declare: for help, and to say what is wrong with a line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from sealpipe.cli import declared, output
from sealpipe.cli.options import enter
from sealpipe.cli.registry import take_common

SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


def run(command: declared.Command, words: Sequence[str], early: Mapping[str, object]) -> Any:
    """Read a line with click and run the command. Raises click's exceptions."""
    made = made_of(command)
    name = f"sealpipe {command.name}"
    return made.main(list(words), prog_name=name, standalone_mode=False, obj=dict(early))


def made_of(command: declared.Command) -> click.Command:
    """The click command of a declaration, with all that is below it."""
    kind = _Group if isinstance(command, declared.Group) else _Command
    made = kind(
        command.name,
        callback=_callback(command) if command.parameters else None,
        params=[_parameter(one) for one in command.parameters],
        help=command.function.__doc__,
        context_settings=SETTINGS,
        **command.settings,
    )
    made.examples = command.examples
    if isinstance(made, click.Group):
        for below in command.commands.values():
            made.add_command(made_of(below))
    return made


def _callback(command: declared.Command) -> Callable[..., Any]:
    @click.pass_context
    def callback(context: click.Context, /, **given: Any) -> Any:
        try:
            return command.call(context.obj or {}, given)
        except BrokenPipeError:
            # Before click sees it: click would end with 1.
            return output.reader_gone()

    made: Callable[..., Any] = callback
    return made


def _parameter(one: declared.Parameter) -> click.Parameter:
    kind = one.settings.get("type")
    settings = dict(one.settings)
    if isinstance(kind, declared.Choice):
        settings["type"] = click.Choice(kind.words)
    elif isinstance(kind, declared.IntRange):
        settings["type"] = click.IntRange(kind.min, kind.max)
    elif kind is not None and not isinstance(kind, type):
        settings["type"] = _Type(kind)
    return (click.Option if one.option else click.Argument)(one.names, **settings)


class _Type(click.ParamType):  # type: ignore[type-arg]  # generic in new clicks only
    name = "target"

    def __init__(self, kind: Any) -> None:
        self.kind = kind

    def convert(self, value: Any, param: object, ctx: object) -> Any:  # noqa: ARG002  # click's signature
        return self.kind.convert(value) if isinstance(value, str) else value


class _Help:
    """Help with its examples first and the common options last."""

    examples: tuple[str, ...] = ()

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_help_text(ctx, formatter)  # type: ignore[misc]
        if self.examples:
            with formatter.section("Examples"):
                formatter.write("".join(f"  {example}\n" for example in self.examples))


class _Command(_Help, click.Command):
    """A command with examples in its help."""


class _Group(_Help, click.Group):
    """A command with subcommands; common options may stand between the two names."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        rows = [(name, command.get_short_help_str(limit=200)) for name, command in self.commands.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        given, rest = take_common(args)
        if given.get("folder"):
            enter(str(given["folder"]))
        ctx.obj = {**(ctx.obj or {}), **given}
        return super().parse_args(ctx, rest)


def _unfit(error: click.BadParameter) -> str:
    name = error.param.opts[0] if error.param and error.param.opts else "a parameter"
    if error.param and isinstance(error.param.type, click.Choice):
        return f"{name} is one of {', '.join(map(str, error.param.type.choices))}"
    kind = f"; expected {error.param.type.name}" if error.param else ""
    return f"{name} has a value it cannot have{kind}"


def text_of(error: click.ClickException) -> str:
    """Click's message, without what was typed: a value belongs to no message, and it may be a secret."""
    if isinstance(error, click.NoSuchOption):
        near = error.possibilities
        return "there is no such option here" + (f"; did you mean {near[0]}?" if near else "")
    if isinstance(error, click.MissingParameter):
        name = error.param.make_metavar(error.ctx) if error.param and error.ctx else "a parameter"
        return f"{name} is missing"
    if isinstance(error, click.BadParameter):
        return _unfit(error)
    if isinstance(error, click.UsageError):
        text = error.format_message()
        if text.startswith("Got unexpected extra argument"):
            return "there are more arguments than this command takes"
        return text[:1].lower() + text[1:].rstrip(".")
    return "the command line cannot be read"

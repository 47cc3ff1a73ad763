"""What commands share: `Common`, `Target`, the decorators, and the help's layout.

    @options.command("plan", examples=("sealpipe plan", "sealpipe plan production --exit-code"))
    @options.target_argument(required=False)
    @click.option("--exit-code", is_flag=True, help="End with 3 when something would change.")
    @options.common(formats=("text", "json"))
    def command(opts: Common, target: Target | None, exit_code: bool) -> int | None: ...

`common` stands last, right above the function. Its options may also be given before the command's name;
both ways arrive in `opts`. What the function returns is the exit code; None is 0.
"""

from __future__ import annotations

import functools
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from sealpipe.cli import output
from sealpipe.cli.registry import take_common
from sealpipe.errors import UsageError
from sealpipe.frozen import NamedTuple, frozen
from sealpipe.released import Unit


@frozen
class Common:
    """The options that every command has. The process stands in the folder that -C named, as with git."""

    folder: str  # absolute
    given_folder: str  # as typed after -C, "" without it
    format: str
    quiet: bool
    verbose: bool
    yes: bool
    dry_run: bool
    color: bool  # for stdout

    def root(self) -> str:
        """The repository: the folder with sealpipe.yaml at or above `folder`. UsageError [no-repository]."""
        from sealpipe.editing.writing import finish
        from sealpipe.trees import find_root

        root = find_root(self.folder)
        finish(root)
        return root


class Target(NamedTuple):
    """`ENV` or `ENV/SERVICE` as typed. Whether either exists is not checked here."""

    environment: str
    service: str | None = None

    def __str__(self) -> str:
        return f"{self.environment}/{self.service}" if self.service else self.environment

    def unit(self) -> Unit:
        """The unit; UsageError where no service was named."""
        if self.service is None:
            raise UsageError("usage", f"a service is needed here: {self.environment}/SERVICE")
        return Unit(self.environment, self.service)


_NAME = r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9])?"
_TARGET = re.compile(rf"(?:\./)?(?:environments/)?({_NAME})(?:/(?:({_NAME})(?:\.yaml)?)?)?")


def parse_target(text: str) -> Target:
    """`ENV`, `ENV/SERVICE`, or the path of a document (environments/ENV/SERVICE.yaml). Raises UsageError."""
    found = _TARGET.fullmatch(text)
    if found is None:
        raise UsageError("usage", "a target is ENV or ENV/SERVICE, such as dev or dev/checkout")
    return Target(found[1], found[2])


class _TargetType(click.ParamType):  # type: ignore[type-arg]  # generic in new clicks only
    name = "target"

    def __init__(self, service: str) -> None:
        self.service = service

    def convert(self, value: Any, param: object, ctx: object) -> Target:  # noqa: ARG002  # click's signature
        target = value if isinstance(value, Target) else parse_target(value)
        if self.service == "required" and target.service is None:
            raise UsageError(
                "usage",
                f"a service is needed here: {target.environment}/SERVICE",
                hint=[f"ls environments/{target.environment}"],
            )
        return target


_Function = Callable[..., Any]


def target_argument(
    name: str = "target", *, required: bool = True, service: str = "optional", many: bool = False
) -> Callable[[_Function], _Function]:
    """An argument that arrives as a Target (None or () when absent). `service`: "optional" or "required"."""
    metavar = "ENV/SERVICE" if service == "required" else "ENV[/SERVICE]"
    return click.argument(
        name,
        type=_TargetType(service),
        required=required,
        nargs=-1 if many else 1,
        metavar=metavar if required else f"[{metavar}]" + ("…" if many else ""),
    )


def common(
    *, formats: Sequence[str] = ("text",), writes: bool = False
) -> Callable[[_Function], Callable[..., Any]]:
    """Give a function its `opts`. `formats`: what --format takes, the first being the default.

    `writes` shows --yes and --dry-run in the help; they are taken everywhere.
    """

    def decorate(function: _Function) -> Callable[..., Any]:
        @functools.wraps(function)
        @click.pass_context
        def with_common(ctx: click.Context, /, **given: Any) -> Any:
            mine = {name: given.pop(f"common_{name}") for name in _COMMON}
            try:
                return function(_common(ctx.obj or {}, mine, formats), **given)
            except BrokenPipeError:
                # Before click sees it: click would end with 1.
                return output.reader_gone()

        decorated: Callable[..., Any] = with_common
        for option in _common_options(formats, writes):
            decorated = option(decorated)
        return decorated

    return decorate


_COMMON = ("folder", "format", "quiet", "verbose", "color", "yes", "dry_run")


def _common(early: dict[str, Any], given: dict[str, Any], formats: Sequence[str]) -> Common:
    found = {name: given[name] or early.get(name) for name in _COMMON}
    chosen = found["format"] or formats[0]
    if chosen not in formats:
        raise UsageError("usage", f"--format is one of {', '.join(formats)} here")
    if found["color"] not in (None, "auto", "always", "never"):
        raise UsageError("usage", "--color is auto, always or never")
    if given["folder"]:
        enter(given["folder"])
    output.run_log(on=bool(found["verbose"]))
    return Common(
        folder=str(Path.cwd()),
        given_folder=found["folder"] or "",
        format=chosen,
        quiet=bool(found["quiet"]),
        verbose=bool(found["verbose"]),
        yes=bool(found["yes"]),
        dry_run=bool(found["dry_run"]),
        color=chosen == "text" and output.wants_color(found["color"], sys.stdout),
    )


_started: list[str] = []


def started_in() -> str:
    """Where the command was called, before any -C."""
    return _started[0] if _started else str(Path.cwd())


def enter(folder: str) -> None:
    """Work in `folder`, as `git -C` does. UsageError where that is no folder."""
    reason = ""
    _started.append(str(Path.cwd()))
    try:
        os.chdir(folder)
    except OSError as error:
        reason = error.strerror or "cannot be entered"
    if reason:
        raise UsageError("no-folder", f"-C {folder}: {reason}")


def _common_options(formats: Sequence[str], writes: bool) -> list[Callable[[_Function], _Function]]:
    shown = f"{'|'.join(formats)}."
    return [
        click.option("--color", "common_color", metavar="WHEN", help="auto|always|never.", hidden=True),
        click.option("-v", "--verbose", "common_verbose", is_flag=True, help="Tell what is run and written."),
        click.option("-q", "--quiet", "common_quiet", is_flag=True, help="Say nothing but data and errors."),
        click.option("--dry-run", "common_dry_run", is_flag=True, hidden=not writes, help="Write nothing."),
        click.option("-y", "--yes", "common_yes", is_flag=True, hidden=not writes, help="Do not ask."),
        click.option("--format", "common_format", metavar="FORMAT", hidden=len(formats) < 2, help=shown),
        click.option("-C", "common_folder", metavar="DIR", hidden=True, help="Work in DIR, as with git."),
    ]


class _Help:
    """Help with its examples first and the common options last."""

    examples: tuple[str, ...] = ()

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_help_text(ctx, formatter)  # type: ignore[misc]
        if self.examples:
            with formatter.section("Examples"):
                formatter.write("".join(f"  {example}\n" for example in self.examples))


class Command(_Help, click.Command):
    """A command with examples in its help."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)


class Group(_Help, click.Group):
    """A command with subcommands; common options may stand between the two names."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)

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


def command(
    name: str, *, examples: Sequence[str] = (), **settings: Any
) -> Callable[[Callable[..., Any]], click.Command]:
    """`click.command` with examples in the help and `-h`; see the top of this file."""
    settings.setdefault("context_settings", {"help_option_names": ["-h", "--help"], "max_content_width": 100})
    return click.command(name, cls=Command, examples=tuple(examples), **settings)


def group(
    name: str, *, examples: Sequence[str] = (), **settings: Any
) -> Callable[[Callable[..., Any]], Group]:
    """`click.group` likewise; subcommands: `@command.command("list", cls=options.Command, examples=…)`."""
    settings.setdefault("context_settings", {"help_option_names": ["-h", "--help"], "max_content_width": 100})
    return click.group(name, cls=Group, examples=tuple(examples), **settings)

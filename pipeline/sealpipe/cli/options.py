"""What commands share: `Common`, `Target`, and the decorators.

    @options.command("plan", examples=("sealpipe plan", "sealpipe plan production --exit-code"))
    @options.target_argument(required=False)
    @options.option("--exit-code", is_flag=True, help="End with 3 when something would change.")
    @options.common(formats=("text", "json"))
    def command(opts: Common, target: Target | None, exit_code: bool) -> int | None: ...

`option` and `argument` take what click's take. `common` stands last, right above the function. Its options
may also be given before the command's name; both ways arrive in `opts`. What the function returns is the
exit code; None is 0.
"""

from __future__ import annotations

import os
import re
import sys

from sealpipe.cli import output
from sealpipe.cli.declared import Choice, Command, Group, IntRange, Parameter, parameters_of
from sealpipe.errors import UsageError
from sealpipe.frozen import NamedTuple, frozen
from sealpipe.released import Unit

TYPE_CHECKING = False  # as in main.py
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from sealpipe.cli.declared import Function

    Decorator = Callable[[Function], Function]

__all__ = [
    "Choice",
    "Common",
    "IntRange",
    "Target",
    "argument",
    "command",
    "common",
    "enter",
    "group",
    "option",
    "parse_target",
    "started_in",
    "target_argument",
]


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
        from sealpipe.trees import JOURNAL, find_root

        root = find_root(self.folder)
        if os.path.exists(f"{root}/{JOURNAL}"):
            from sealpipe.editing.writing import finish

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
_TARGET = rf"(?:\./)?(?:environments/)?({_NAME})(?:/(?:({_NAME})(?:\.yaml)?)?)?"


def parse_target(text: str) -> Target:
    """`ENV`, `ENV/SERVICE`, or the path of a document (environments/ENV/SERVICE.yaml). Raises UsageError."""
    found = re.fullmatch(_TARGET, text)
    if found is None:
        raise UsageError("usage", "a target is ENV or ENV/SERVICE, such as dev or dev/checkout")
    return Target(found[1], found[2])


class _Targets(NamedTuple):
    """The type of a target's word."""

    service: str  # "optional" or "required"

    def convert(self, word: str) -> Target:
        target = parse_target(word)
        if self.service == "required" and target.service is None:
            raise UsageError(
                "usage",
                f"a service is needed here: {target.environment}/SERVICE",
                hint=[f"ls environments/{target.environment}"],
            )
        return target


def option(*names: str, **settings: Any) -> Decorator:
    """An option of the function below: as click's, with `Choice` and `IntRange` for types."""

    def decorate(function: Function) -> Function:
        parameters_of(function).append(Parameter(names, settings))
        return function

    return decorate


def argument(name: str, **settings: Any) -> Decorator:
    """An argument of the function below, as click's."""
    return option(name, **settings)


def target_argument(
    name: str = "target", *, required: bool = True, service: str = "optional", many: bool = False
) -> Decorator:
    """An argument that arrives as a Target (None or () when absent). `service`: "optional" or "required"."""
    metavar = "ENV/SERVICE" if service == "required" else "ENV[/SERVICE]"
    return argument(
        name,
        type=_Targets(service),
        required=required,
        nargs=-1 if many else 1,
        metavar=metavar if required else f"[{metavar}]" + ("…" if many else ""),
    )


def common(*, formats: Sequence[str] = ("text",), writes: bool = False) -> Decorator:
    """Give a function its `opts`. `formats`: what --format takes, the first being the default.

    `writes` shows --yes and --dry-run in the help; they are taken everywhere.
    """

    def call(function: Function, early: Mapping[str, Any], given: dict[str, Any]) -> Any:
        mine = {name: given.pop(f"common_{name}") for name in _COMMON}
        return function(_common(early, mine, formats), **given)

    def decorate(function: Function) -> Function:
        function.__dict__["common"] = call
        for one in _common_options(formats, writes):
            one(function)
        return function

    return decorate


_COMMON = ("folder", "format", "quiet", "verbose", "color", "yes", "dry_run")


def _common(early: Mapping[str, Any], given: Mapping[str, Any], formats: Sequence[str]) -> Common:
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
        folder=os.getcwd(),
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
    return _started[0] if _started else os.getcwd()


def enter(folder: str) -> None:
    """Work in `folder`, as `git -C` does. UsageError where that is no folder."""
    reason = ""
    _started.append(os.getcwd())
    try:
        os.chdir(folder)
    except OSError as error:
        reason = error.strerror or "cannot be entered"
    if reason:
        raise UsageError("no-folder", f"-C {folder}: {reason}")


def _common_options(formats: Sequence[str], writes: bool) -> list[Decorator]:
    shown = f"{'|'.join(formats)}."
    return [
        option("--color", "common_color", metavar="WHEN", help="auto|always|never.", hidden=True),
        option("-v", "--verbose", "common_verbose", is_flag=True, help="Tell what is run and written."),
        option("-q", "--quiet", "common_quiet", is_flag=True, help="Say nothing but data and errors."),
        option("--dry-run", "common_dry_run", is_flag=True, hidden=not writes, help="Write nothing."),
        option("-y", "--yes", "common_yes", is_flag=True, hidden=not writes, help="Do not ask."),
        option("--format", "common_format", metavar="FORMAT", hidden=len(formats) < 2, help=shown),
        option("-C", "common_folder", metavar="DIR", hidden=True, help="Work in DIR, as with git."),
    ]


def command(name: str, *, examples: Sequence[str] = (), **settings: Any) -> Callable[[Function], Command]:
    """`click.command` with examples in the help and `-h`; see the top of this file."""
    return lambda function: Command(name, function, examples=examples, **settings)


def group(name: str, *, examples: Sequence[str] = (), **settings: Any) -> Callable[[Function], Group]:
    """`click.group` likewise; subcommands: `@command.command("list", examples=…)`."""
    return lambda function: Group(name, function, examples=examples, **settings)

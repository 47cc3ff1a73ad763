"""What a command takes, as values. A line that is typed as it should be is read here; all others by click.

Click is a third of what a small command costs. `Command.read` gives what click would give, or None: then,
and for help, `clicked` makes the click command of the same declaration, and only click says what is wrong.
tests/cli/test_declared.py holds the two against each other.
"""

from __future__ import annotations

from sealpipe.cli.registry import take_common
from sealpipe.errors import UsageError
from sealpipe.frozen import NamedTuple

TYPE_CHECKING = False  # as in main.py
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    Function = Callable[..., Any]

UNREADABLE = (ValueError, LookupError, UsageError)  # what a type raises for a word that it does not take


class Choice(NamedTuple):
    """One of these words."""

    words: tuple[str, ...]

    def convert(self, word: str) -> str:
        return self.words[self.words.index(word)]


class IntRange(NamedTuple):
    """An integer within bounds, both included."""

    min: int
    max: int | None = None

    def convert(self, word: str) -> int:
        found = int(word)
        if found < self.min or (self.max is not None and found > self.max):
            raise ValueError
        return found


class Parameter(NamedTuple):
    """An option (its names have dashes) or argument. `settings` are click's, with types of this file."""

    names: tuple[str, ...]
    settings: Mapping[str, Any]

    @property
    def option(self) -> bool:
        return self.names[0].startswith("-")

    @property
    def key(self) -> str:
        """The name of the function's argument, chosen as click does."""
        own = [name for name in self.names if name.isidentifier()]
        longest = max((name.partition("/")[0] for name in self.names), key=lambda name: name[:2] == "--")
        return own[0] if own else longest.lstrip("-").replace("-", "_")

    @property
    def flags(self) -> list[str]:
        """Every spelling of an option."""
        return [flag for name in self.names if name[:1] == "-" for flag in name.split("/")]

    @property
    def is_flag(self) -> bool:
        return bool(self.settings.get("is_flag")) or any("/" in name for name in self.names)

    @property
    def many(self) -> bool:
        return bool(self.settings.get("multiple")) or self.settings.get("nargs") == -1

    @property
    def required(self) -> bool:
        given = self.settings.get("required")
        if given is None:
            return not self.option and self.settings.get("default") is None and not self.many
        return bool(given)

    @property
    def missing(self) -> Any:
        """What the function gets when nothing was typed."""
        return () if self.many else self.settings.get("default", False if self.is_flag else None)

    def convert(self, word: str) -> Any:
        """The value of a word. Raises one of UNREADABLE."""
        kind = self.settings.get("type")
        if kind is None:
            return word
        return kind(word) if isinstance(kind, type) else kind.convert(word)


class Command:
    """A command: made by `options.command`. `settings` are click's."""

    def __init__(
        self, name: str, function: Function, *, examples: Sequence[str] = (), **settings: Any
    ) -> None:
        self.name, self.function, self.settings = name, function, settings
        self.examples = tuple(examples)
        self.parameters: tuple[Parameter, ...] = tuple(reversed(parameters_of(function)))

    def read(self, words: Sequence[str], early: Mapping[str, object]) -> tuple[Command, Any, Any] | None:
        """The command, the common options before it, and its values; None where click must read."""
        given = _read(self.parameters, words)
        return None if given is None else (self, early, given)

    def call(self, early: Mapping[str, object], given: Mapping[str, Any]) -> Any:
        """Run it; the result is its exit code, or None."""
        common: Callable[..., Any] = self.function.__dict__["common"]
        return common(self.function, early, dict(given))

    @property
    def commands(self) -> Mapping[str, Command]:
        """By name, what stands below a group."""
        return {}


class Group(Command):
    """A command of commands: made by `options.group`; common options may stand between the two names."""

    def __init__(
        self, name: str, function: Function, *, examples: Sequence[str] = (), **settings: Any
    ) -> None:
        super().__init__(name, function, examples=examples, **settings)
        self._commands: dict[str, Command] = {}

    @property
    def commands(self) -> Mapping[str, Command]:
        return self._commands

    def command(
        self, name: str, *, examples: Sequence[str] = (), **settings: Any
    ) -> Callable[[Function], Command]:
        """As `options.command`, below this group."""

        def decorate(function: Function) -> Command:
            self._commands[name] = Command(name, function, examples=examples, **settings)
            return self._commands[name]

        return decorate

    def read(self, words: Sequence[str], early: Mapping[str, object]) -> tuple[Command, Any, Any] | None:
        try:
            between, rest = take_common(words)
        except ValueError:
            return None
        below = self._commands.get(rest[0]) if rest else None
        return None if below is None or "folder" in between else below.read(rest[1:], {**early, **between})


def parameters_of(function: Function) -> list[Parameter]:
    """What was declared above a function so far, last first: decorators run from below."""
    found: list[Parameter] = function.__dict__.setdefault("parameters", [])
    return found


_Words = dict[str, list[object]]


def _read(parameters: Sequence[Parameter], words: Sequence[str]) -> dict[str, Any] | None:
    found: _Words = {}
    typed = _options({flag: one for one in parameters if one.option for flag in one.flags}, words, found)
    if typed is None:
        return None
    for one in parameters:
        if not one.option:
            take = len(typed) if one.many else 1
            found[one.key], typed = typed[:take], typed[take:]
    if typed or any(one.required and not found.get(one.key) for one in parameters):
        return None
    try:
        return {one.key: _value(one, found.get(one.key) or []) for one in parameters}
    except UNREADABLE:
        return None


def _options(known: Mapping[str, Parameter], words: Sequence[str], found: _Words) -> list[Any] | None:
    """The words that are no options; the others go into `found`. None for what click must read."""
    typed: list[Any] = []
    left = list(reversed(words))
    while left:
        word = left.pop()
        if word == "--":
            return [*typed, *reversed(left)]
        if word[:1] != "-" or word == "-":
            typed.append(word)
            continue
        flag, attached, value = word.partition("=") if word[:2] == "--" else (word[:2], word[2:], word[2:])
        one = known.get(flag)
        if one is None or (attached and one.is_flag) or (flag[1] != "-" and "=" in value):
            return None
        if one.is_flag:
            found[one.key] = [not one.names[0].endswith(f"/{flag}")]
        elif attached:
            found.setdefault(one.key, []).append(value)
        elif "flag_value" in one.settings and (not left or (left[-1][:1] == "-" and left[-1] != "-")):
            found.setdefault(one.key, []).append(one.settings["flag_value"])
        elif left:
            found.setdefault(one.key, []).append(left.pop())
        else:
            return None
    return typed


def _value(one: Parameter, words: Sequence[object]) -> Any:
    values = [one.convert(word) if isinstance(word, str) else word for word in words]
    if one.many:
        return tuple(values)
    return values[-1] if values else one.missing

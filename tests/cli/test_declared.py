"""Lines are read here exactly as click reads them, or left to click."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

import click
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealpipe.cli import clicked, options
from sealpipe.cli.declared import Command, Group
from sealpipe.cli.options import Target
from sealpipe.cli.registry import COMMANDS, load_command
from sealpipe.errors import SealpipeError

Read = tuple[str, Mapping[str, object], Mapping[str, Any]]


def every_command() -> Iterator[tuple[str, Command]]:
    for name in COMMANDS:
        yield name, load_command(name)


def by_click(command: Command, words: list[str], early: dict[str, object]) -> Read | None:
    """The command's name, the common options before it, its values; None for a line that is refused."""
    made = clicked.made_of(command)
    try:
        context = made.make_context(command.name, list(words), obj=dict(early))
        if isinstance(made, click.Group):
            name, below, rest = made.resolve_command(context, [*context._protected_args, *context.args])
            assert below is not None
            context = below.make_context(name, rest, parent=context)
    except (click.ClickException, click.exceptions.Exit, SealpipeError):
        return None
    return str(context.info_name), context.obj, context.params


def here(command: Command, words: list[str], early: dict[str, object]) -> Read | None:
    read = command.read(words, early)
    return None if read is None else (read[0].name, read[1], read[2])


@options.command("every")
@options.target_argument(required=False)
@options.argument("path", required=False, metavar="[PATH]")
@options.argument("rest", nargs=-1)
@options.option("--text", metavar="TEXT")
@options.option("--many", "several", multiple=True)
@options.option("--random", "size", type=int, is_flag=False, flag_value=32)
@options.option("--on/--off", default=None)
@options.option("--limit", type=options.IntRange(1, 9), default=5)
@options.option("--as", "kind", type=options.Choice(("env", "json")), default="env")
@options.option("--long-name", is_flag=True)
@options.common(formats=("text", "json"), writes=True)
def every(**_: Any) -> None:
    """Every kind of parameter that there is."""


@options.group("both")
def both() -> None:
    """A group."""


@both.command("one")
@options.target_argument("targets", required=True, many=True)
@options.common()
def one(**_: Any) -> None:
    """A command below it."""


WORDS = [
    *("dev", "dev/checkout", "Bad/Name", "x", "", "-", "--", "a b", "12", "0", "-1", "=", "é"),
    *("--text", "--text=", "--text=x", "--text=--many", "--tex", "--many", "--many=1", "--many="),
    *(
        "--random",
        "--random=8",
        "--random=x",
        "--on",
        "--off",
        "--on=1",
        "--limit",
        "--limit=9",
        "--limit=10",
    ),
    *("--as", "--as=json", "--as=xml", "--long-name", "--long_name", "--long-name=1", "-q", "-qv", "-q=1"),
    *(
        "-C",
        "-C.",
        "-C=.",
        "--format",
        "--format=json",
        "--yes",
        "-y",
        "--help",
        "-h",
        "--dry-run",
        "-x",
        "one",
    ),
]


@settings(max_examples=3000, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=7))
def test_any_words_are_read_as_click_reads_them(words: list[str]) -> None:
    for command in (every, both):
        read = here(command, words, {})
        if read is not None:
            assert read == by_click(command, words, {})


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_well_formed_lines_need_no_click(data: st.DataObject) -> None:
    flags = [["-q"], ["--text", "x"], ["--text=x"], ["--many", "1"], ["--off"], ["--limit=3"]]
    flags += [["--as", "json"], ["-C", "."], ["--format", "json"], ["--long-name"], ["--random=9"]]
    parts = data.draw(st.permutations([["dev"], *data.draw(st.lists(st.sampled_from(flags), max_size=5))]))
    words = [word for part in parts for word in part]
    words += data.draw(
        st.sampled_from([[], ["--random"], ["--random", "-y"]])
    )  # before a word, it takes that
    read = here(every, words, {})
    assert read is not None
    assert read == by_click(every, words, {})


def test_common_options_of_a_group_stand_between_the_names() -> None:
    for words in (["-q", "one", "dev"], ["one", "dev", "-q"], ["--format", "json", "one", "dev", "qa/x"]):
        read = here(both, words, {"yes": True})
        assert read is not None
        assert read == by_click(both, words, {"yes": True})
    # The folder is entered by who reads the line.
    assert here(both, ["-C", ".", "one", "dev"], {}) is None


def test_targets_arrive_as_such() -> None:
    read = here(every, ["dev/checkout"], {})
    assert read is not None
    assert read[2]["target"] == Target("dev", "checkout")


def examples() -> list[tuple[str, str]]:
    """The line of each example, without what is said beside it and what stands around it in a shell."""
    return [
        (command.name, re.split(r" {2,}| > ", example)[0].rpartition(" | ")[2])
        for _, command in every_command()
        for part in [command, *command.commands.values()]
        for example in part.examples
    ]


@pytest.mark.parametrize(("name", "example"), examples())
def test_every_example_of_the_help_is_read_without_click(name: str, example: str) -> None:
    if not example.startswith("sealpipe ") or example.endswith("\\"):
        return
    words = shlex.split(example)[2:]
    read = here(load_command(name), words, {})
    assert read is not None, words
    assert read == by_click(load_command(name), words, {})


def test_every_command_says_the_same_by_both_ways() -> None:
    for name, command in every_command():
        for below in [command, *command.commands.values()]:
            made = clicked.made_of(below)
            assert [one.key for one in below.parameters] == [one.name for one in made.params], name
            assert [one.required for one in below.parameters] == [one.required for one in made.params], name
            flags = [[*one.opts, *one.secondary_opts] for one in made.params if isinstance(one, click.Option)]
            assert [one.flags for one in below.parameters if one.option] == flags
        assert isinstance(command, Group) == bool(command.commands)

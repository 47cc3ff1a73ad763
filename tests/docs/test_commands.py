"""docs/guides/commands.md has every command with its flags, and the program has them."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from sealpipe.cli.clicked import made_of
from sealpipe.cli.registry import GROUPS, load_command

PAGE = Path(__file__).parent.parent.parent / "docs" / "guides" / "commands.md"
_EVERYWHERE = {"-C", "--quiet", "--verbose", "--color", "--help"}
_ROW = re.compile(r"^\| `(?P<call>[^`]+)` \| (?P<what>.+?) \| (?P<flags>[^|]*?) ?\| ?(?P<exits>[^|]*?) ?\|$")


def sections() -> dict[str, str]:
    parts = re.split(r"^## (.+)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def rows(group: str) -> dict[str, re.Match[str]]:
    """The rows of a group by the command's words."""
    found = {}
    for line in sections()[group].splitlines():
        match = _ROW.match(line)
        if match:
            words = match["call"].split()
            found[" ".join(word for word in words[:2] if re.fullmatch(r"[a-z]+", word))] = match
    return found


def commands(group: str) -> dict[str, click.Command]:
    found: dict[str, click.Command] = {}
    for name in GROUPS[group]:
        command = made_of(load_command(name))
        if isinstance(command, click.Group):
            found |= {f"{name} {inner}": each for inner, each in command.commands.items()}
        else:
            found[name] = command
    return found


def flags(command: click.Command) -> set[str]:
    options = [each for each in command.params if isinstance(each, click.Option) and not each.hidden]
    names = {name for each in options for name in (*each.opts, *each.secondary_opts)}
    return {name for name in names if name.startswith("--")} - _EVERYWHERE


@pytest.mark.parametrize("group", GROUPS)
def test_every_command_has_a_row(group: str) -> None:
    assert sorted(rows(group)) == sorted(commands(group))


@pytest.mark.parametrize("group", GROUPS)
def test_flags_are_those_of_the_program(group: str) -> None:
    said = {name: set(re.findall(r"`(--[a-z-]+)`", row["flags"])) for name, row in rows(group).items()}
    assert said == {name: flags(command) for name, command in commands(group).items()}


@pytest.mark.parametrize("group", GROUPS)
def test_arguments_are_as_many_as_the_program_takes(group: str) -> None:
    said = {
        name: len(row["call"].replace("-- ", "").split()) - len(name.split())
        for name, row in rows(group).items()
    }
    assert said == {
        name: sum(isinstance(each, click.Argument) for each in command.params)
        for name, command in commands(group).items()
    }


@pytest.mark.parametrize("group", GROUPS)
def test_exit_codes_are_known_ones(group: str) -> None:
    known = {"3", "4", "5", "6", "75", "78"}
    assert all(set(re.findall(r"\d+", row["exits"])) <= known for row in rows(group).values())


def test_no_group_is_missing() -> None:
    assert [name for name in sections() if name in GROUPS] == list(GROUPS)

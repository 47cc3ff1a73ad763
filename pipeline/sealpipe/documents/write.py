"""Plain data to YAML: block style for the files that commands write, and the parts that edits insert."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sealpipe.documents.scalars import scalar_text
from sealpipe.frozen import NamedTuple

_WIDTH = 100


class Layout(NamedTuple):
    """How far a map and a list stand to the right of the key that holds them."""

    step: int = 2
    list_step: int = 2

    def below(self, value: Any) -> str:
        return " " * (self.list_step if isinstance(value, list | tuple) else self.step)


PLAIN = Layout()


def dump_yaml(data: Mapping[str, Any], *, header: str = "") -> str:
    """The document as block YAML that `read_yaml` reads back equal, keys in their order.

    `header` is put in front as it is (comments). Short lists of scalars stand on one line. Raises
    ValueError for what a document cannot hold; the text does not show the value.
    """
    if header and not header.endswith("\n"):
        header += "\n"
    return header + "".join(f"{line}\n" for line in block_lines(data, ""))


def block_lines(data: Any, indent: str, layout: Layout = PLAIN) -> Iterator[str]:
    """Lines of a map or list in block style, each behind `indent`, without line ends."""
    if isinstance(data, Mapping):
        for key, value in data.items():
            yield from entry_lines(key, value, indent, layout)
    else:
        for item in data:
            yield from item_lines(item, indent, layout)


def entry_lines(key: str, value: Any, indent: str, layout: Layout = PLAIN) -> Iterator[str]:
    """Lines of one `key: value`."""
    name = key_text(key)
    if fits_inline(value):
        yield f"{indent}{name}: {inline(value)}"
        return
    yield f"{indent}{name}:"
    yield from block_lines(value, indent + layout.below(value), layout)


def item_lines(item: Any, indent: str, layout: Layout = PLAIN) -> Iterator[str]:
    """Lines of one `- item`."""
    if fits_inline(item):
        yield f"{indent}- {inline(item)}"
        return
    lines = block_lines(item, indent + "  ", layout)
    yield f"{indent}- {next(lines).lstrip(' ')}"
    yield from lines


def fits_inline(value: Any) -> bool:
    """Whether a value is written behind its key: scalars, empty collections, short lists of scalars."""
    if isinstance(value, Mapping):
        return not value
    if isinstance(value, list | tuple):
        if any(isinstance(item, Mapping | list | tuple) for item in value):
            return False
        return sum(len(scalar_text(item, flow=True)) + 2 for item in value) <= _WIDTH - 20
    return True


def inline(value: Any, *, flow: bool = False) -> str:
    """The value on one line: a scalar, or `[…]` and `{…}`. `flow`: it stands inside a flow collection."""
    if isinstance(value, Mapping):
        entries = (f"{key_text(key, flow=True)}: {inline(item, flow=True)}" for key, item in value.items())
        return "{" + ", ".join(entries) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(inline(item, flow=True) for item in value) + "]"
    return scalar_text(value, flow=flow)


def key_text(key: str, *, flow: bool = False) -> str:
    """A key as written in front of its colon."""
    if not isinstance(key, str):
        raise ValueError("keys must be text")  # noqa: TRY004 - one kind of error for all that cannot be written
    return scalar_text(key, flow=flow)

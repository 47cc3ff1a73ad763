"""Values and what editing them did, as text."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sealpipe.cli.output import clean

if TYPE_CHECKING:
    from sealpipe.editing.sealing import Resealed
    from sealpipe.editing.values import ValueEdit

_BARE = re.compile(r"[A-Za-z_./:@-][A-Za-z0-9_./:@+-]*( [A-Za-z0-9_./:@+-]+)*")
_NOT_TEXT = ("true", "false", "null", "yes", "no")


def short_value(value: Any, limit: int = 60) -> str:
    """A plain value in one line: text without quotes where it cannot be mistaken, the rest as JSON."""
    if isinstance(value, str) and _BARE.fullmatch(value) and value.lower() not in _NOT_TEXT:
        text = value
    else:
        text = clean(json.dumps(value, ensure_ascii=False))
    return text if len(text) <= limit else text[: limit - 1] + "…"


def value_edit(done: ValueEdit) -> list[str]:
    """`set` and `unset`: what, where, and for plain values from what to what."""
    place = f"{done.file}:{done.line}" if done.line else done.file
    if done.kind == "same":
        return [f"same    {place}  {done.path} has this value already"]
    lines = [f"{done.kind:<7} {place}" + _change(done)]
    if done.schema:
        lines.append(
            f"schema  {done.schema} now knows {done.path}" + (" as a secret" if done.kind == "sealed" else "")
        )
    return lines


def _change(done: ValueEdit) -> str:
    if done.kind == "sealed":
        return ""
    if done.kind == "set" and done.old is None:
        return f"  {done.path}  {short_value(done.new)}"
    if done.kind == "set":
        return f"  {done.path}  {short_value(done.old)} → {short_value(done.new)}"
    return f"  {done.path}" + ("" if done.old is None else f"  was {short_value(done.old)}")


def sealed_values(file: str, done: Sequence[Resealed]) -> list[str]:
    """`seal` and `edit`: a line for each value that was sealed."""
    return [f"{one.how:<10} {file}:{one.line}  {one.path}" for one in done]

"""`sealpipe check` as text and JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sealpipe.cli.output import clean, paint
from sealpipe.cli.render import json_

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sealpipe.serving.trial import Trial


def as_text(found: Sequence[Trial], *, color: bool) -> list[str]:
    """A line an environment, with what the class would leave out, default or refuse below it."""
    width = max(len(str(one.unit)) for one in found)
    lines: list[str] = []
    for one in found:
        verdict = paint("starts", "green", color) if one.starts else paint(f"error[{one.word}]", "red", color)
        lines.append(f"{one.unit!s:{width}}  {verdict}" + (f"  {clean(one.what)}" if one.what else ""))
        lines += [f"  {clean(line)}" for line in one.why]
        for title, paths in (
            ("not in the class", one.unknown),
            ("defaults", one.defaulted),
            ("overridden", tuple(f"{path} by {who}" for path, who in one.overridden.items())),
            ("secrets made up", one.faked),
        ):
            if paths:
                lines.append(f"  {title:<16}  {clean(', '.join(paths))}")
    failing = sum(not one.starts for one in found)
    lines.append("")
    lines.append(f"{failing} of {len(found)} would not start" if failing else f"all {len(found)} would start")
    return lines


def as_json(found: Sequence[Trial]) -> list[str]:
    shown = [{**one._asdict(), "unit": str(one.unit), "starts": one.starts} for one in found]
    return json_.document(starts=all(one.starts for one in found), units=shown)

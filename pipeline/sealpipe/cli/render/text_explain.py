"""`sealpipe explain` as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from sealpipe.cli.output import clean, paint
from sealpipe.cli.render.text_values import short_value

if TYPE_CHECKING:
    from sealpipe.looking.explaining import Explanation, LayerSays, Line


def explanation(found: Explanation, *, color: bool) -> list[str]:
    """One value: its layers with the winner marked, then schema, what is published, who can open it."""
    rows = [(_place(one), _says(one), one) for one in found.layers]
    place_width = max([len("layer"), *(len(place) for place, _, _ in rows)]) + 2
    says_width = max([len("value"), *(len(says) for _, says, _ in rows)]) + 2
    lines = [paint(clean(_head(found)), "bold", color), ""]
    lines.append(f"  {'layer':<{place_width}}value")
    for place, says, one in rows:
        mark = paint("▸", "green", color) if one.wins else " "
        lines.append(f"{mark} {place:<{place_width}}{says:<{says_width}}{_by(one)}".rstrip())
    lines.append("")
    lines += _facts(found)
    return lines


def _head(found: Explanation) -> str:
    if found.state == "set":
        return f"{found.path} = {short_value(found.value)}"
    states = {
        "sealed": f"sealed ({found.type})",
        "plaintext": "a secret that is NOT SEALED (value not shown)",
        "unset": "not set",
    }
    return f"{found.path} = {states.get(found.state, found.state)}"


def _place(one: LayerSays) -> str:
    return f"{one.file}:{one.line}" if one.line else one.file


def _says(one: LayerSays) -> str:
    if one.kind == "set":
        return short_value(one.value, 40)
    if one.kind == "sealed":
        return f"sealed ({one.type})" + (" for an older key" if one.stale else "")
    return {"unset": "-", "deleted": "deleted (null)", "plaintext": "NOT SEALED"}[one.kind]


def _by(one: LayerSays) -> str:
    if one.by is None:
        return ""
    if not one.by.commit:
        return one.by.when
    return clean(f'{one.by.author} · {one.by.when} · {one.by.commit[:7]} "{one.by.summary}"')


def _facts(found: Explanation) -> list[str]:
    facts: list[tuple[str, str, str]] = []
    if found.schema is not None:
        facts.append(("schema", found.schema.text, str(found.schema.where or "")))
    if found.published is not None:
        facts.append(("published", _published(found), ""))
    if found.state == "sealed":
        facts.append(("who can open it", _readers(found), ""))
    facts += [(name, text, "") for name, text in _marks(found)]
    if found.variable and found.state != "unset":
        facts.append(("note", f"a process may override it with {found.variable}", ""))
    width = max((len(name) for name, _, _ in facts), default=0) + 2
    lines = []
    for name, text, place in facts:
        lines.append(f"  {name:<{width}}{clean(text)}" + (f"    {place}" if place else ""))
    return lines


def _marks(found: Explanation) -> Iterator[tuple[str, str]]:
    """What our own keywords in the schema ask for, beside its form."""
    marks = found.marks
    if marks.restart:
        yield "on change", "needs a restart (x-restart in the schema)"
    if marks.locked:
        yield "locked", "no process may override it (x-locked in the schema)"
    if marks.each_environment:
        wrong = f"; this is from {found.taken_from}" if found.taken_from else ""
        yield "environments", f"each sets its own (x-environment in the schema){wrong}"
    if marks.deprecated:
        said = [f"use {marks.replaced_by}"] if marks.replaced_by else []
        said += [f"to be gone after {marks.removed_after}"] if marks.removed_after else []
        yield "deprecated", ", ".join(said) or "the schema says so"


def _published(found: Explanation) -> str:
    now = found.published
    if now is None or now.state == "unknown":
        return f"not known: {now.why}" if now else ""
    if now.state == "unit-absent":
        return "nothing yet"
    differs = f" (differs: run `sealpipe plan {found.unit.environment}`)"
    if now.state == "absent":
        return f"not in #{now.number}" + differs
    what = (
        "same value"
        if now.state == "same"
        else "another sealed value"
        if now.sealed
        else short_value(now.value)
    )
    return f"{what} in #{now.number}" + ("" if now.state == "same" else differs)


def _readers(found: Explanation) -> str:
    parts = []
    if found.people:
        parts.append(", ".join(found.people) + " (people)")
    if found.machines:
        parts.append(", ".join(found.machines) + " (service)")
    return " · ".join(parts) or "nobody"


def lines(found: Sequence[Line]) -> list[str]:
    """Every value of a unit, with the file and line that decide it."""
    rows = [
        (
            clean(one.path),
            f"sealed ({one.type})" if one.type else _plain(one.value),
            f"{one.file}:{one.line}",
        )
        for one in found
    ]
    path_width = max((len(path) for path, _, _ in rows), default=0)
    value_width = max((len(value) for _, value, _ in rows), default=0)
    return [f"{path:<{path_width}}  {value:<{value_width}}  {place}" for path, value, place in rows]


def _plain(value: object) -> str:
    from sealpipe.looking.reading import UNSEALED

    return "NOT SEALED" if value == UNSEALED else short_value(value, 50)

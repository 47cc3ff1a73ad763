"""What a schema says of one setting: in a few words, where, and what it asks for beside a form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sealpipe.frozen import NamedTuple
from sealpipe.paths import Path
from sealpipe.schemas.compile import Effective
from sealpipe.schemas.walk import types_of


class Marks(NamedTuple):
    """Our own keywords at a path, or at a map above it."""

    restart: bool = False
    locked: bool = False
    each_environment: bool = False
    deprecated: bool = False  # by any of the three keywords that say so
    replaced_by: str = ""
    removed_after: str = ""


def marks(schema: Effective, path: Path) -> Marks:
    """What the keywords of a schema ask for at `path` or above it; the nearest that asks counts."""

    def said(keyword: str) -> Any:
        found = (schema.walk.at(path[:depth]).annotation(keyword) for depth in range(len(path), 0, -1))
        return next((one for one in found if one not in (None, False)), None)

    replaced_by, removed_after = str(said("x-replaced-by") or ""), str(said("x-removed-after") or "")
    return Marks(
        restart=schema.restart(path),
        locked=said("x-locked") is True,
        each_environment=said("x-environment") is True,
        deprecated=bool(said("deprecated") or replaced_by or removed_after),
        replaced_by=replaced_by,
        removed_after=removed_after,
    )


def text(schema: Effective, path: Path) -> str:
    """What the schema wants at a path, in a few words. No default of a secret is shown."""
    spot = schema.walk.at(path)
    types = sorted({str(name) for node in spot.nodes for name in _listed(node.get("type"))})
    parts = [" or ".join(types) or "anything"]
    parts += _bounds(spot.annotation)
    if spot.secret is not None:
        parts.append("secret")
        wanted = types_of(spot.nodes)
        if len(spot.secret) == 1 and wanted != spot.secret:
            parts.append(f"sealed as {next(iter(spot.secret))}")
    elif spot.annotation("default") is not None:
        import json

        parts.append(f"default {json.dumps(spot.annotation('default'), ensure_ascii=False)}")
    else:
        parts.append("no default")
    return ", ".join(parts)


def steps(root: Mapping[str, Any], path: Path) -> tuple[str | int, ...]:
    """Where in the schema's own text a path is described, as far as plain properties lead."""
    found: list[str | int] = []
    node: Any = root
    for segment in path:
        name = "properties" if isinstance(segment, str) else "items"
        inner = node.get(name) if isinstance(node, Mapping) else None
        if isinstance(segment, str) and isinstance(inner, Mapping) and segment in inner:
            found += [name, segment]
            node = inner[segment]
        elif not isinstance(segment, str) and inner is not None:
            found.append(name)
            node = inner
        else:
            break
        reference = node.get("$ref") if isinstance(node, Mapping) else None
        if isinstance(reference, str) and reference.startswith("#/"):
            found = list(reference[2:].split("/"))
            node = root
            for step in found:
                node = node.get(str(step), {}) if isinstance(node, Mapping) else {}
    return tuple(found)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _bounds(said: Any) -> list[str]:
    low, high = said("minimum"), said("maximum")
    found = []
    if low is not None and high is not None:
        found.append(f"{low} to {high}")
    elif low is not None:
        found.append(f"at least {low}")
    elif high is not None:
        found.append(f"at most {high}")
    if said("minLength") is not None:
        found.append(f"at least {said('minLength')} characters")
    if said("maxLength") is not None:
        found.append(f"at most {said('maxLength')} characters")
    if said("enum"):
        found.append("one of " + ", ".join(str(option) for option in said("enum")[:12]))
    if said("format") and said("format") != "password":
        found.append(f"format {said('format')}")
    if said("pattern"):
        found.append("with a pattern")
    return found

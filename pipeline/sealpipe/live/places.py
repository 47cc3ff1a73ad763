"""A place in a settings object that somebody listens to: a dotted path, or a function of the settings."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any

from sealpipe.frozen import NamedTuple
from sealpipe.paths import lookup, parse_path, settle, show_path
from sealpipe.settings.shape import Choice, ListOf, MapOf, Plain, Record, merged_records, shape_of

Steps = tuple[str | int, ...]


class Place(NamedTuple):
    """Where to look. `path` is None for a function that does more than reach into the settings."""

    read: Callable[[Any], Any]
    path: Steps | None
    name: str


def place_of(cls: type[Any], what: str | Callable[[Any], Any]) -> Place:
    """The place that a path or a function names. ValueError for a path that the class does not have."""
    if not isinstance(what, str):
        name = getattr(what, "__name__", type(what).__name__)
        return Place(what, _traced(what), name)
    parsed = parse_path(what)
    steps = tuple(step for step in parsed if isinstance(step, str | int))
    if len(steps) != len(parsed):
        raise ValueError(f"{what}: an element is named by its index here, or a function finds it")
    names = _attributes(cls, steps)
    return Place(lambda settings: _reach(settings, names), steps, show_path(steps))


def need_paths(cls: type[Any], steps: Steps, value: Any) -> None:
    """ValueError for a path, or one in a map that is to stand there, that the class does not have."""
    _attributes(cls, steps)
    if isinstance(value, Mapping):
        for key, inner in value.items():
            need_paths(cls, (*steps, key), inner)


def published_change(before: Mapping[str, Any], after: Mapping[str, Any], path: Steps | None) -> bool:
    """Whether the published document differs at a path, above it or below it; anywhere without a path."""
    if path is None:
        return dict(before) != dict(after)
    return bool(_nearest(before, path) != _nearest(after, path))


def changed_paths(before: Any, after: Any, at: Steps = ()) -> list[str]:
    """The paths whose values differ between two documents, deepest first named; lists count as one value."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        names = [*before, *(name for name in after if name not in before)]
        missing = object()
        found: list[str] = []
        for name in names:
            found += changed_paths(before.get(name, missing), after.get(name, missing), (*at, name))
        return found
    return [show_path(at)] if before != after else []


def _nearest(document: Mapping[str, Any], path: Steps) -> Any:
    """What stands at the path or, where nothing does, at the nearest parent that is no map."""
    for size in range(len(path), 0, -1):
        settled = settle(document, path[:size])
        if settled is not None:
            found = lookup(document, settled)
            return found if size == len(path) or not isinstance(found, Mapping) else None
    return None


class _Probe:
    """Remembers which attributes and items were asked for; any other use of it fails."""

    __slots__ = ("_steps",)

    def __init__(self, steps: Steps) -> None:
        object.__setattr__(self, "_steps", steps)

    def __getattr__(self, name: str) -> _Probe:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Probe((*_steps(self), name))

    def __getitem__(self, name: str | int) -> _Probe:
        return _Probe((*_steps(self), name))


def _steps(probe: _Probe) -> Steps:
    found: Steps = object.__getattribute__(probe, "_steps")
    return found


def _traced(what: Callable[[Any], Any]) -> Steps | None:
    try:
        found = what(_Probe(()))
    except Exception:  # noqa: BLE001  # a function that computes: it has no path
        return None
    return _steps(found) if isinstance(found, _Probe) else None


def _attributes(cls: type[Any], steps: Steps) -> Steps:
    """The path in attribute names: fields may be published under an alias."""
    names: list[str | int] = []
    annotation: Any = cls
    for depth, step in enumerate(steps):
        shape = shape_of(annotation)
        if isinstance(shape, Choice):
            shape = merged_records(shape.branches) or shape
        if isinstance(shape, Record):
            member = next((m for m in shape.members if step == m.name or step in m.keys), None)
            if member is None:
                if shape.open:
                    names.append(step)
                    annotation = Any
                    continue
                raise ValueError(_no_field(shape, steps[: depth + 1]))
            names.append(member.name)
            annotation = member.annotation
        else:
            names.append(step)
            annotation = _inside(shape, step)
    return tuple(names)


def _inside(shape: Any, step: str | int) -> Any:
    if isinstance(shape, MapOf):
        return shape.value
    if isinstance(shape, ListOf) and isinstance(step, int):
        return shape.at(step)
    return Plain("")


def _no_field(shape: Record, path: Steps) -> str:
    known = [member.name for member in shape.members]
    near = difflib.get_close_matches(str(path[-1]), known, 1, 0.6)
    also = f" (did you mean {show_path((*path[:-1], near[0]))}?)" if near else ""
    return f"{shape.text} has no field at {show_path(path)}{also}"


def _reach(value: Any, names: Steps) -> Any:
    """The value at a path; None where an optional parent is None or a map or list has nothing there."""
    for name in names:
        if value is None:
            return None
        if isinstance(value, Mapping):
            value = value.get(name)
        elif isinstance(name, int):
            value = value[name] if name < len(value) else None
        else:
            value = getattr(value, name, None)
    return value

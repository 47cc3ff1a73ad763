"""Published values made to fit a settings model: keys renamed to what the model takes, unknown keys
left out, and the proof that every sealed value lands in a secret type and every secret type is sealed.

The proof needs no value: it follows the model's annotations along the document's paths.
"""

from __future__ import annotations

import copy
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import Secret

from sealpipe.client.opened import Opened
from sealpipe.frozen import NamedTuple
from sealpipe.paths import Concrete, from_pointer, settle, show_path
from sealpipe.settings.redacted import RedactedBytes, RedactedStr
from sealpipe.settings.shape import (
    Choice,
    Hidden,
    ListOf,
    MapOf,
    Member,
    Plain,
    Record,
    Shape,
    literal_tags,
    merged_records,
    shape_of,
    takes_mapping,
)

Path = tuple[str | int, ...]


class Misfit(NamedTuple):
    """Why a document cannot be used with the model; found before any value is looked at."""

    word: str
    path: Path  # as published
    what: str
    hint: str = ""


class Unknown(NamedTuple):
    """A published key that the model does not have; it is left out."""

    path: Path
    near: str  # a key of the model that looks like it, "" without one


class Override(NamedTuple):
    """A published value that something above it replaces."""

    path: Path  # as published
    key: Path  # as the model's sources spell it


@dataclass(slots=True)
class Fitted:
    """What `fit` found. `values` may be given to pydantic when `misfits` is empty."""

    values: dict[str, Any] = field(default_factory=dict, repr=False)
    misfits: list[Misfit] = field(default_factory=list)
    unknown: list[Unknown] = field(default_factory=list)
    defaulted: list[Path] = field(default_factory=list)
    overridden: list[Override] = field(default_factory=list)
    locked: list[Override] = field(default_factory=list)
    twins: list[Path] = field(default_factory=list)  # map keys that differ from an override in case only
    published: dict[Path, Path] = field(default_factory=dict)  # key path -> path as published


def fit(
    root: Record, values: Mapping[str, Any], upstream: Mapping[str, Any], locked: Sequence[str]
) -> Fitted:
    """Fit a snapshot's values to a model. `upstream` is what sources above said, `locked` JSON Pointers."""
    walk = _Walk(Fitted(), tuple(settle(values, from_pointer(p)) or from_pointer(p) for p in locked))
    found = walk.record(root, values, upstream, (), ())
    walk.out.values = found
    return walk.out


def for_pydantic(secret: Opened) -> Any:
    """The secret in a form that its secret type takes and that shows nothing in any message."""
    value = secret.reveal()
    if isinstance(value, str):
        return RedactedStr(value)
    if isinstance(value, bytes):
        return RedactedBytes(value)
    return Secret(value)


class _Walk:
    """One pass over a document; `at` is the path as published, `key` as the model spells it."""

    def __init__(self, out: Fitted, locked: tuple[Concrete, ...]) -> None:
        self.out = out
        self.locked = locked

    def node(self, annotation: Any, value: Any, upstream: Any, at: Path, key: Path) -> Any:
        shape = shape_of(annotation)
        if at != key:
            self.out.published[key] = at
        if upstream is not _NOTHING and not (_is_map(upstream) and _is_map(value)):
            self.replaced(at, key, upstream)
        if isinstance(value, Opened):
            return self.secret(shape, value, at)
        if isinstance(shape, Hidden) and value is not None:
            hint = f'mark {show_path(at)} "writeOnly": true in its schema, then: sealpipe seal ENV/SERVICE'
            self.misfit(
                "plain-to-secret", at, f"is published in clear and {shape.text} is a secret type", hint
            )
        return self.inside(shape, value, upstream, at, key)

    def inside(self, shape: Shape, value: Any, upstream: Any, at: Path, key: Path) -> Any:
        if isinstance(shape, Choice):
            return self.choice(shape, value, upstream, at, key)
        if isinstance(value, list):
            if isinstance(shape, Record):  # a NamedTuple
                shape = ListOf(Any, tuple(member.annotation for member in shape.members), shape.text)
            if isinstance(shape, ListOf):
                return self.items(shape, value, at, key)
        if _is_map(value) and isinstance(shape, Record):
            return self.record(shape, value, upstream, at, key)
        if _is_map(value) and isinstance(shape, MapOf):
            return self.mapping(shape, value, upstream, at, key)
        return self.opaque(shape, value, upstream, at, key)

    def record(
        self, shape: Record, value: Mapping[str, Any], upstream: Any, at: Path, key: Path
    ) -> dict[str, Any]:
        above: Mapping[str, Any] = upstream if _is_map(upstream) else {}
        found: dict[str, Any] = {}
        taken: set[str] = set()
        heads = {path[0] for member in shape.members for path in member.paths}
        for member in shape.members:
            spelled = next((name for name in member.keys if name in value), None)
            over = next((name for name in member.keys if name in above), None)
            if spelled is None:
                self.absent(member, value, above, at, key)
                continue
            taken.add(spelled)
            emitted = over or member.keys[0]
            below = above[over] if over is not None else _NOTHING
            kept = self.node(member.annotation, value[spelled], below, (*at, spelled), (*key, emitted))
            if kept is not _NOTHING:
                found[emitted] = kept
        for name, item in value.items():
            if name in taken:
                continue
            if name in heads:
                found[name] = self.headed(shape, name, item, at)
            elif shape.open:
                found[name] = self.opaque(
                    Plain("an extra key"), item, above.get(name, _NOTHING), (*at, name), (*key, name)
                )
            else:
                self.unknown(shape, (*at, name))
        return found

    def absent(
        self, member: Member, value: Mapping[str, Any], above: Mapping[str, Any], at: Path, key: Path
    ) -> None:
        over = next((name for name in member.keys if name in above), None)
        by_path = any(_reaches(tree, path) for path in member.paths for tree in (value, above))
        if over is not None:
            for name in member.keys:
                self.check_locked((*at, name), (*key, over), above[over])
            shape = shape_of(member.annotation)
            if isinstance(shape, Record) and _is_map(above[over]):
                self.record(shape, {}, above[over], (*at, member.keys[0]), (*key, over))
        elif not member.required and not by_path:
            self.out.defaulted.append((*at, (member.keys or (member.name,))[0]))

    def headed(self, shape: Record, name: str, item: Any, at: Path) -> Any:
        """A subtree that alias paths reach into: kept whole, its secrets only where a field takes them."""
        kept = copy.deepcopy(_sealed_out(item))
        for inner, secret in _secrets_in(item, (name,)):
            claims = [
                _below(member.annotation, inner[len(path) :])
                for member in shape.members
                for path in member.paths
                if inner[: len(path)] == path
            ]
            if claims:
                lands = claims[0] if len(claims) == 1 else Choice(tuple(claims), "", "several fields")
                _put(kept, inner[1:], self.secret(shape_of(lands), secret, (*at, *inner)))
                if inner == (name,):
                    kept = self.secret(shape_of(lands), secret, (*at, *inner))
        return kept

    def mapping(
        self, shape: MapOf, value: Mapping[str, Any], upstream: Any, at: Path, key: Path
    ) -> dict[str, Any]:
        above: Mapping[str, Any] = upstream if _is_map(upstream) else {}
        for name, over in above.items():
            self.check_locked((*at, name), (*key, name), over)
            if name not in value and any(other.casefold() == name.casefold() for other in value):
                self.out.twins.append((*at, name))
        found = {}
        for name, item in value.items():
            kept = self.node(shape.value, item, above.get(name, _NOTHING), (*at, name), (*key, name))
            if kept is not _NOTHING:
                found[name] = kept
        return found

    def items(self, shape: ListOf, value: list[Any], at: Path, key: Path) -> list[Any]:
        return [
            self.node(shape.at(index), item, _NOTHING, (*at, index), (*key, index))
            for index, item in enumerate(value)
        ]

    def choice(self, shape: Choice, value: Any, upstream: Any, at: Path, key: Path) -> Any:
        branches = shape.branches
        if shape.tag and _is_map(value):
            names = _tag_keys(branches, shape.tag)
            ours = next((value[name] for name in names if name in value), None)
            theirs = next((upstream[name] for name in names if _is_map(upstream) and name in upstream), ours)
            if theirs != ours and str(theirs) != str(ours):
                self.replaced(at, key, None)
                return _NOTHING
            branches = tuple(b for b in branches if ours in literal_tags(b, shape.tag)) or branches
        if _is_map(value):
            record = merged_records(branches)
            maps = [b for b in branches if isinstance(shape_of(b), MapOf | Plain)]
            if record is not None and not any(_may_hold_map(b) for b in maps):
                return self.record(record, value, upstream, at, key)
            fitting = [b for b in branches if takes_mapping(b) or _may_hold_map(b)]
        elif isinstance(value, list):
            fitting = [b for b in branches if isinstance(shape_of(b), ListOf)]
        else:
            fitting = [] if all(isinstance(shape_of(b), Hidden) for b in branches) else list(branches)
            if value is not None and not fitting:
                return self.node(branches[0], value, upstream, at, key)
        if len(fitting) == 1:
            return self.node(fitting[0], value, upstream, at, key)
        return self.opaque(shape, value, upstream, at, key)

    def secret(self, shape: Shape, secret: Opened, at: Path) -> Any:
        branches = [shape_of(b) for b in shape.branches] if isinstance(shape, Choice) else [shape]
        for branch in branches:
            if isinstance(branch, Choice):
                self.secret(branch, secret, at)
            elif not isinstance(branch, Hidden):
                self.misfit(
                    "sealed-to-plain",
                    at,
                    f"is sealed and lands in `{branch.text}`, which shows what it holds",
                    "declare SecretStr, SecretBytes or Secret[…]",
                )
                break
        hidden = [branch for branch in branches if isinstance(branch, Hidden)]
        if len(hidden) == len(branches) and not any(
            b.takes is None or secret.type in b.takes for b in hidden
        ):
            self.misfit(
                "wrong-secret-type",
                at,
                f"is sealed as {secret.type}, which `{shape.text}` does not take",
                f"declare Secret[{_PYTHON.get(secret.type, secret.type)}]",
            )
        return for_pydantic(secret)

    def opaque(self, shape: Shape, value: Any, upstream: Any, at: Path, key: Path) -> Any:
        """A subtree that the model does not describe: kept, as long as nothing in it is sealed."""
        self.overlaid(value, upstream, at, key)
        for path, secret in _secrets_in(value, at):
            self.secret(Plain(shape.text), secret, path)
        return copy.deepcopy(_sealed_out(value))

    def overlaid(self, value: Any, upstream: Any, at: Path, key: Path) -> None:
        if not (_is_map(value) and _is_map(upstream)):
            return
        for name, over in upstream.items():
            inner, inner_key = (*at, name), (*key, name)
            if name not in value:
                self.check_locked(inner, inner_key, over)
            elif _is_map(value[name]) and _is_map(over):
                self.overlaid(value[name], over, inner, inner_key)
            else:
                self.replaced(inner, inner_key, over)

    # ---- what is reported

    def misfit(self, word: str, at: Path, what: str, hint: str) -> None:
        self.out.misfits.append(Misfit(word, at, what, hint))

    def unknown(self, shape: Record, at: Path) -> None:
        names = [name for member in shape.members for name in member.keys]
        near = difflib.get_close_matches(str(at[-1]), names, 1, 0.75)
        self.out.unknown.append(Unknown(at, show_path((*at[:-1], near[0])) if near else ""))

    def replaced(self, at: Path, key: Path, upstream: Any) -> None:
        self.out.overridden.append(Override(at, key))
        self.check_locked(at, key, upstream)

    def check_locked(self, at: Path, key: Path, upstream: Any) -> None:
        for locked in self.locked:
            if at[: len(locked)] == locked:
                self.lock(Override(at, key))
            elif locked[: len(at)] == at and (
                not _is_map(upstream) or settle(upstream, locked[len(at) :]) is not None
            ):
                # A map with something locked in it is replaced, or given the locked key.
                self.lock(Override(locked, (*key, *locked[len(at) :])))

    def lock(self, found: Override) -> None:
        if found not in self.out.locked:
            self.out.locked.append(found)


_NOTHING: Any = object()
_PYTHON = {"object": "dict[str, Any]", "array": "list[Any]"}


def _is_map(value: Any) -> bool:
    return isinstance(value, Mapping)


def _may_hold_map(annotation: Any) -> bool:
    shape = shape_of(annotation)
    return isinstance(shape, MapOf) or (
        isinstance(shape, Plain) and shape.text in ("Any", "object", "dict", "Mapping")
    )


def _tag_keys(branches: Sequence[Any], tag: str) -> list[str]:
    keys: list[str] = []
    for branch in branches:
        shape = shape_of(branch)
        if isinstance(shape, Record):
            keys.extend(key for member in shape.members if member.name == tag for key in member.keys)
    return list(dict.fromkeys([*keys, tag]))


def _reaches(value: Any, path: Sequence[str | int]) -> bool:
    return settle(value, tuple(path)) is not None


def _below(annotation: Any, path: Path) -> Any:
    """The annotation at a path below another; Any where the model does not say."""
    for step in path:
        shape = shape_of(annotation)
        if isinstance(shape, Record) and isinstance(step, str):
            member = shape.member_of(step)
            annotation = member.annotation if member else Any
        elif isinstance(shape, MapOf):
            annotation = shape.value
        elif isinstance(shape, ListOf) and isinstance(step, int):
            annotation = shape.at(step)
        else:
            return Any
    return annotation


def _secrets_in(value: Any, at: Path) -> list[tuple[Path, Opened]]:
    if isinstance(value, Opened):
        return [(at, value)]
    inner = value.items() if _is_map(value) else enumerate(value) if isinstance(value, list) else ()
    return [found for name, item in inner for found in _secrets_in(item, (*at, name))]


def _sealed_out(value: Any) -> Any:
    """A copy without secrets: maps lose the key, lists hold None there."""
    if isinstance(value, Opened):
        return None
    if _is_map(value):
        return {name: _sealed_out(item) for name, item in value.items() if not isinstance(item, Opened)}
    return [_sealed_out(item) for item in value] if isinstance(value, list) else value


def _put(tree: Any, path: Path, value: Any) -> None:
    node = tree
    for step in path[:-1]:
        node = node[step]
    if path:
        node[path[-1]] = value

"""The shape of a settings model: for every place of a document, the type that a value lands in.

Annotations are read, never values. What is not understood is `Plain`: everything below it is kept, and
a sealed value may not land there.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import enum
import types
import typing
from collections.abc import Iterable, Iterator
from typing import Any, Union, get_args, get_origin, get_type_hints

import typing_extensions
from pydantic import (
    AliasChoices,
    AliasPath,
    BaseModel,
    Discriminator,
    RootModel,
    Secret,
    SecretBytes,
    SecretStr,
)
from pydantic.fields import FieldInfo

from sealpipe.frozen import NamedTuple


class Hidden(NamedTuple):
    """A secret type."""

    takes: frozenset[str] | None  # types of sealed values; None takes all
    text: str


class Plain(NamedTuple):
    """Anything that shows what it holds."""

    text: str


class Member(NamedTuple):
    """A field: the keys it may be published under, best first, and alias paths `(key, …)`."""

    name: str
    keys: tuple[str, ...]
    paths: tuple[tuple[str | int, ...], ...]
    annotation: Any
    required: bool


class Record(NamedTuple):
    """A model, dataclass, TypedDict or NamedTuple."""

    text: str
    members: tuple[Member, ...]
    open: bool  # takes keys that no member names

    def member_of(self, key: str) -> Member | None:
        return next((member for member in self.members if key in member.keys), None)


class MapOf(NamedTuple):
    value: Any
    text: str


class ListOf(NamedTuple):
    item: Any
    items: tuple[Any, ...]  # of a fixed-length tuple
    text: str

    def at(self, index: int) -> Any:
        return self.items[index] if index < len(self.items) else self.item


class Choice(NamedTuple):
    """A union without its None. `tag`: the field that tells the branches apart, "" without one."""

    branches: tuple[Any, ...]
    tag: str
    text: str


Shape = Hidden | Plain | Record | MapOf | ListOf | Choice

_MAPPINGS = (dict, collections.OrderedDict, collections.defaultdict, collections.Counter)
_LISTS = (list, set, frozenset, tuple, collections.deque)
_ABSTRACT_LISTS = (
    collections.abc.Sequence,
    collections.abc.MutableSequence,
    collections.abc.Iterable,
    collections.abc.Set,
    collections.abc.MutableSet,
    collections.abc.Collection,
)


def shape_of(annotation: Any, tag: str = "") -> Shape:
    """The shape of an annotation. `tag` is a discriminator that a field's metadata named."""
    annotation, tag = bare_of(annotation, tag)
    origin, args = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return _choice(args, tag)
    if isinstance(annotation, Shape):
        return annotation
    kind = origin or annotation
    if not isinstance(kind, type):
        return Plain(type_name(annotation))
    hidden = _hidden(kind, annotation)
    return hidden or _record(kind) or _container(kind, args, annotation) or Plain(type_name(annotation))


def type_name(annotation: Any) -> str:
    """The annotation as its author wrote it, near enough: `Secret[int]`, `dict[str, SecretStr]`."""
    if isinstance(annotation, Shape):
        return annotation.text
    origin, args = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return " | ".join("None" if arg is type(None) else type_name(arg) for arg in args)
    if origin is typing.Annotated:
        return type_name(args[0])
    if origin is not None and isinstance(origin, type):
        return f"{origin.__name__}[{', '.join(type_name(arg) for arg in args)}]"
    return getattr(annotation, "__name__", None) or str(annotation).removeprefix("typing.")


def members_of(model: type[BaseModel]) -> tuple[Member, ...]:
    """The fields of a model, in order."""
    config = model.model_config
    by_alias = config.get("validate_by_alias", True) is not False
    by_name = bool(config.get("validate_by_name") or config.get("populate_by_name"))
    return tuple(
        _member(name, info, by_alias=by_alias, by_name=by_name) for name, info in model.model_fields.items()
    )


def models_in(annotation: Any) -> Iterator[type]:
    """Every pydantic model that a document can reach from `annotation`, each once."""
    seen: set[Any] = set()
    todo = [annotation]
    while todo:
        bare, tag = bare_of(todo.pop(), "")
        mark = bare if isinstance(bare, type) else repr(bare)
        if mark in seen:
            continue
        seen.add(mark)
        if isinstance(bare, type) and issubclass(bare, BaseModel):
            yield bare
        todo.extend(inner_of(shape_of(bare, tag)))


# ---- annotations


def bare_of(annotation: Any, tag: str) -> tuple[Any, str]:
    """Without Annotated, NewType, type aliases and None; a discriminator found on the way is kept."""
    while True:
        origin = get_origin(annotation)
        if origin in (typing.Annotated, typing_extensions.Annotated):
            annotation, *metadata = get_args(annotation)
            tag = _tag_of(metadata) or tag
        elif isinstance(annotation, typing_extensions.TypeAliasType):
            annotation = annotation.__value__
        elif isinstance(origin, typing_extensions.TypeAliasType):
            annotation = origin.__value__[get_args(annotation)]
        elif hasattr(annotation, "__supertype__"):
            annotation = annotation.__supertype__
        elif origin in (typing.Required, typing.NotRequired, typing_extensions.ReadOnly, typing.Final):
            annotation = get_args(annotation)[0]
        elif origin in (Union, types.UnionType) and len(some := _not_none(annotation)) == 1:
            annotation = some[0]
        elif isinstance(annotation, typing.TypeVar):
            annotation = annotation.__bound__ or Any
        else:
            return annotation, tag


def _not_none(union: Any) -> list[Any]:
    return [arg for arg in get_args(union) if arg is not type(None)]


def _tag_of(metadata: Iterable[Any]) -> str:
    for item in metadata:
        found = item.discriminator if isinstance(item, FieldInfo | Discriminator) else None
        if isinstance(found, Discriminator):
            found = found.discriminator
        if isinstance(found, str):
            return found
    return ""


def _choice(args: tuple[Any, ...], tag: str) -> Shape:
    branches: list[Any] = []
    for arg in args:
        if arg is type(None):
            continue
        bare, inner_tag = bare_of(arg, "")
        nested = shape_of(bare, inner_tag) if get_origin(bare) in (Union, types.UnionType) else None
        branches.extend(nested.branches if isinstance(nested, Choice) else [arg])
    if len(branches) == 1:
        return shape_of(branches[0], tag)
    return Choice(tuple(branches), tag, " | ".join(type_name(branch) for branch in branches))


def _hidden(kind: type, annotation: Any) -> Hidden | None:
    if issubclass(kind, SecretStr):
        return Hidden(frozenset({"str"}), type_name(annotation))
    if issubclass(kind, SecretBytes):
        return Hidden(frozenset({"str", "bytes"}), type_name(annotation))
    if issubclass(kind, Secret):
        return Hidden(_secret_types(kind, annotation), type_name(annotation))
    return None


_SEALED_AS = {
    str: {"str"},
    bytes: {"bytes", "str"},
    int: {"int", "str"},
    float: {"float", "int", "str"},
    bool: {"bool"},
}


def _secret_types(kind: type, annotation: Any) -> frozenset[str] | None:
    """What may be sealed for a `Secret[T]`, where T says it; pydantic decides the rest."""
    args = get_args(annotation)
    if not args:
        for base in getattr(kind, "__orig_bases__", ()):
            args = args or get_args(base)
    inner = shape_of(args[0]) if args else None
    if isinstance(inner, Record | MapOf):
        return frozenset({"object"})
    if isinstance(inner, ListOf):
        return frozenset({"array"})
    bare: Any = bare_of(args[0], "")[0] if args else None
    found = _SEALED_AS.get(bare) if isinstance(bare, type) else None
    return frozenset(found) if found else None


def _record(kind: type) -> Record | None:
    if issubclass(kind, BaseModel) and not issubclass(kind, RootModel):
        return Record(kind.__name__, members_of(kind), kind.model_config.get("extra") == "allow")
    if dataclasses.is_dataclass(kind) or _is_typed_dict(kind) or _is_named_tuple(kind):
        return Record(kind.__name__, _plain_members(kind), False)
    return None


def _plain_members(kind: type) -> tuple[Member, ...]:
    infos = getattr(kind, "__pydantic_fields__", None)
    if infos is not None:  # a pydantic dataclass
        config = getattr(kind, "__pydantic_config__", {})
        by_name = bool(config.get("validate_by_name") or config.get("populate_by_name"))
        return tuple(_member(name, info, by_alias=True, by_name=by_name) for name, info in infos.items())
    try:
        hints = get_type_hints(kind, include_extras=True)
    except (NameError, TypeError):
        hints = dict.fromkeys(getattr(kind, "__annotations__", {}), Any)
    optional: set[str] = set()
    if dataclasses.is_dataclass(kind):
        optional = {
            entry.name
            for entry in dataclasses.fields(kind)
            if entry.default is not dataclasses.MISSING or entry.default_factory is not dataclasses.MISSING
        }
        hints = {entry.name: hints.get(entry.name, Any) for entry in dataclasses.fields(kind) if entry.init}
    elif _is_typed_dict(kind):
        optional = set(getattr(kind, "__optional_keys__", ()))
    else:
        optional = set(getattr(kind, "_field_defaults", ()))
    return tuple(
        Member(name, _written_alias(hint) or (name,), (), hint, name not in optional)
        for name, hint in hints.items()
    )


def _written_alias(hint: Any) -> tuple[str, ...]:
    metadata = getattr(hint, "__metadata__", ())
    for item in metadata:
        if isinstance(item, FieldInfo) and isinstance(item.validation_alias, str):
            return (item.validation_alias,)
    return ()


def _member(name: str, info: FieldInfo, *, by_alias: bool, by_name: bool) -> Member:
    keys: list[str] = []
    paths: list[tuple[str | int, ...]] = []
    alias = info.validation_alias if by_alias else None
    choices = alias.choices if isinstance(alias, AliasChoices) else [] if alias is None else [alias]
    for choice in choices:
        if isinstance(choice, AliasPath):
            paths.append(tuple(choice.path))
        else:
            keys.append(choice)
    if alias is None or by_name:
        keys.append(name)
    annotation: Any = info.annotation
    if info.metadata or info.discriminator is not None:
        annotation = typing.Annotated[annotation, info]
    return Member(name, tuple(dict.fromkeys(keys)), tuple(paths), annotation, info.is_required())


def _container(kind: type, args: tuple[Any, ...], annotation: Any) -> Shape | None:
    text = type_name(annotation)
    if issubclass(kind, RootModel):
        return shape_of(kind.model_fields["root"].annotation, _tag_of([kind.model_fields["root"]]))
    if issubclass(kind, str | bytes | enum.Enum):
        return None
    if issubclass(kind, _MAPPINGS) or kind in (collections.abc.Mapping, collections.abc.MutableMapping):
        return MapOf(args[1], text) if len(args) == 2 else Plain(text)
    if issubclass(kind, _LISTS) or kind in _ABSTRACT_LISTS:
        if issubclass(kind, tuple) and args and args[-1] is not Ellipsis:
            return ListOf(Any, args, text)
        return ListOf(args[0], (), text) if args else Plain(text)
    return None


def _is_typed_dict(kind: type) -> bool:
    return typing_extensions.is_typeddict(kind)


def _is_named_tuple(kind: type) -> bool:
    return issubclass(kind, tuple) and hasattr(kind, "_fields")


# ---- walking


def inner_of(shape: Shape) -> tuple[Any, ...]:
    match shape:
        case Record():
            return tuple(member.annotation for member in shape.members)
        case MapOf():
            return (shape.value,)
        case ListOf():
            return (shape.item, *shape.items)
        case Choice():
            return shape.branches
        case _:
            return ()


def literal_tags(annotation: Any, tag: str) -> tuple[Any, ...]:
    """The values of the discriminator `tag` that select this branch of a union."""
    shape = shape_of(annotation)
    if not isinstance(shape, Record):
        return ()
    member = next((m for m in shape.members if m.name == tag), None)
    if member is None:
        return ()
    bare: Any = bare_of(member.annotation, "")[0]
    found: tuple[Any, ...] = (bare,)
    if get_origin(bare) in (typing.Literal, typing_extensions.Literal):
        found = get_args(bare)
    return tuple(item.value if isinstance(item, enum.Enum) else item for item in found)


def merged_records(branches: Iterable[Any]) -> Record | None:
    """One record that knows every key of these branches: what a union without a discriminator takes."""
    records = [shape for branch in branches if isinstance(shape := shape_of(branch), Record)]
    if not records:
        return None
    by_key: dict[tuple[str, ...], list[Member]] = {}
    for record in records:
        for member in record.members:
            by_key.setdefault(member.keys, []).append(member)
    members = tuple(
        Member(
            found[0].name,
            keys,
            tuple(path for member in found for path in member.paths),
            _union([member.annotation for member in found]),
            False,
        )
        for keys, found in by_key.items()
    )
    text = " | ".join(record.text for record in records)
    return Record(text, members, any(record.open for record in records))


def _union(annotations: list[Any]) -> Any:
    return annotations[0] if len(annotations) == 1 else Choice(tuple(annotations), "", "")


def takes_mapping(annotation: Any) -> bool:
    return isinstance(shape_of(annotation), Record | MapOf)

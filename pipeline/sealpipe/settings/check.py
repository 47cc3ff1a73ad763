"""What a settings class must be for its settings to be published; found before anything is fetched."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from sealpipe.canonical import labelled
from sealpipe.errors import ConfigError
from sealpipe.settings.shape import Record, bare_of, inner_of, members_of, models_in, shape_of, type_name


def need_class(cls: Any) -> None:
    """TypeError for what is no class of pydantic's: a mistake of the program, whatever is published."""
    if not (isinstance(cls, type) and issubclass(cls, BaseModel)):
        what = cls.__name__ if isinstance(cls, type) else f"an object of type {type(cls).__name__}"
        raise TypeError(f"a settings class is needed, a kind of PublishedSettings; this is {what}")


def check_class(cls: type[BaseSettings]) -> None:
    """ConfigError [settings-class] naming every field that variables or documents could not reach.

    Not checked: whether a document fits; that is proven for each release.
    """
    if not cls.__pydantic_complete__:
        cls.model_rebuild()
    problems = list(_problems(cls))
    if problems:
        raise ConfigError(
            "settings-class",
            f"{cls.__name__} cannot be filled from published configuration",
            why=problems,
        )


def model_tag(cls: type[BaseSettings]) -> str:
    """A short digest of what decides which documents the class accepts, as far as annotations show it."""
    return labelled(8, "sealpipe.model.1", _text_of(cls).encode()).hex()


def _problems(cls: type[BaseSettings]) -> Iterator[str]:
    delimiter = cls.model_config.get("env_nested_delimiter")
    for model in models_in(cls):
        if not issubclass(model, BaseModel):
            continue
        if model.model_config.get("strict"):
            yield (
                f"{model.__name__} is strict: dates, paths, URLs, enums and sets do not come out of JSON; "
                "make single fields strict instead"
            )
        if not model.model_config.get("nested_model_default_partial_update"):
            yield from _lost_defaults(model)
        seen: dict[str, str] = {}
        for member in members_of(model):
            for key in member.keys:
                if delimiter and delimiter in key:
                    yield f"{model.__name__}.{member.name}: {key!r} holds {delimiter}, which separates keys"
                other = seen.setdefault(key.casefold(), member.name)
                if other != member.name:
                    yield f"{model.__name__}.{member.name} and .{other} have one name in variables"


def _lost_defaults(model: type[BaseModel]) -> Iterator[str]:
    """Defaults such as `db: Db = Db(host="x")`: a release that carries `db.port` alone would bring another
    host, that of `Db`."""
    for name, info in model.model_fields.items():
        default = info.default
        if not isinstance(default, BaseModel):
            continue
        lost = [
            inner
            for inner, field in type(default).model_fields.items()
            if not field.is_required() and inner in default.model_fields_set
            if field.default_factory is not None or getattr(default, inner) != field.default
        ]
        if lost:
            kind = type(default).__name__
            yield (
                f"{model.__name__}.{name}: its default sets {', '.join(lost)}, which a release that "
                f"carries only another key of it would undo; make them defaults of {kind}"
            )


def _text_of(annotation: Any) -> str:
    """All that decides whether a document fits, as text: the same for the same model, in every process."""
    return "\n".join(_describe(annotation, set()))


def _describe(annotation: Any, seen: set[str]) -> Iterator[str]:
    bare, tag = bare_of(annotation, "")
    shape = shape_of(bare, tag)
    name = f"{getattr(bare, '__module__', '')} {getattr(bare, '__qualname__', '')} {type_name(bare)}"
    yield f"{type(shape).__name__} {name} {shape.text}"
    if name in seen:
        return
    seen.add(name)
    if not isinstance(shape, Record):
        for inner in inner_of(shape):
            yield from _describe(inner, seen)
        return
    for member in shape.members:
        yield f"{member.keys} {member.paths} {member.required} {type_name(member.annotation)}"
        yield _constraints(member.annotation)
        yield from _describe(member.annotation, seen)


def _constraints(annotation: Any) -> str:
    infos = [item for item in getattr(annotation, "__metadata__", ()) if isinstance(item, FieldInfo)]
    kept = [repr(item) for info in infos for item in info.metadata if " at 0x" not in repr(item)]
    return " ".join(kept)

"""Frozen values: what `@dataclass(frozen=True, slots=True)` makes, at an eighth of its cost.

A command declares sixty of them and a service thirty; the standard decorator compiles six functions for
each, and its module brings `inspect`. Here five are shared, and one is compiled when the first value is made:
most classes of a run have none. What it makes is a dataclass to everybody else: `dataclasses.replace`,
`fields` and `asdict` work on it. `NamedTuple` is `typing`'s in the same way, without `typing`: with it every
command would start a fifth slower. Bottom of the tree.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing is one of the modules that are not wanted here
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn, TypeVar, dataclass_transform
    from typing import NamedTuple as NamedTuple  # noqa: PLC0414  # others take it from here

    T = TypeVar("T")
else:

    def dataclass_transform(**_):
        return lambda decorator: decorator


_MISSING: Any = object()
_set = object.__setattr__


class Field:
    """A declared field, with what the functions of `dataclasses` ask of one."""

    __slots__ = ("default", "default_factory", "name", "repr", "type")
    init = True
    compare = True
    hash = None
    kw_only = False

    def __init__(self, default: Any, default_factory: Any, *, shown: bool) -> None:
        self.default, self.default_factory, self.repr = default, default_factory, shown
        self.name = self.type = ""

    @property
    def metadata(self) -> dict[str, Any]:
        return {}

    @property
    def _field_type(self) -> Any:
        import dataclasses

        return dataclasses._FIELD  # type: ignore[attr-defined]  # noqa: SLF001


class _Params:
    """What `dataclasses` notes of a class, for those who look."""

    init = repr = eq = frozen = slots = match_args = True
    order = unsafe_hash = kw_only = weakref_slot = False


def field(*, default: Any = _MISSING, default_factory: Any = _MISSING, repr: bool = True) -> Any:  # noqa: A002
    """As `dataclasses.field`, with the three arguments that are used here."""
    return Field(default, default_factory, shown=repr)


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(cls: type[T]) -> type[T]:
    """The class with its annotations as fields: compared by them, hashable, closed, not to be changed.

    No inheritance of fields, no `__post_init__`. What the class defines itself (`__repr__`) is kept.
    """
    own = dict(cls.__dict__)
    fields: dict[str, Field] = {}
    for name, kind in own.get("__annotations__", {}).items():
        given = own.pop(name, _MISSING)
        made = given if isinstance(given, Field) else Field(given, _MISSING, shown=True)
        made.name, made.type = name, kind
        fields[name] = made
    own.pop("__dict__", None)
    own.pop("__weakref__", None)
    own |= {name: method for name, method in _SHARED.items() if name not in own}
    own["__slots__"] = tuple(fields)
    own["__match_args__"] = tuple(fields)
    own["__dataclass_fields__"] = fields
    own["__dataclass_params__"] = _Params

    def first(self: Any, /, *values: Any, **named: Any) -> None:
        done.__init__ = _initializer(fields, cls.__qualname__)
        done.__init__(self, *values, **named)

    own["__init__"] = first
    made_class: Any = type(cls)
    done: Any = made_class(cls.__name__, cls.__bases__, own)
    found: type[T] = done
    return found


def replace(value: T, /, **changes: Any) -> T:
    """A copy with some fields changed. TypeError for a field that there is not."""
    fields = value.__dataclass_fields__  # type: ignore[attr-defined]
    kept = {name: getattr(value, name) for name in fields if name not in changes}
    return type(value)(**kept, **changes)


def _initializer(fields: dict[str, Field], name: str) -> Callable[..., None]:
    given: dict[str, Any] = {"_set": _set}
    parameters, lines = ["self"], []
    for one in fields.values():
        value = one.name
        if one.default_factory is not _MISSING:
            given[f"_made_{one.name}"] = one.default_factory
            given["_missing"] = _MISSING
            parameters.append(f"{one.name}=_missing")
            value = f"_made_{one.name}() if {one.name} is _missing else {one.name}"
        elif one.default is not _MISSING:
            given[f"_default_{one.name}"] = one.default
            parameters.append(f"{one.name}=_default_{one.name}")
        else:
            parameters.append(one.name)
        lines.append(f" _set(self, {one.name!r}, {value})")
    exec(f"def __init__({', '.join(parameters)}):\n" + "\n".join(lines), given)  # noqa: S102  # our own names
    made: Callable[..., None] = given["__init__"]
    made.__qualname__ = f"{name}.__init__"
    return made


def _values(self: Any) -> tuple[Any, ...]:
    return tuple([getattr(self, name) for name in self.__dataclass_fields__])


def _eq(self: Any, other: object) -> Any:
    if other.__class__ is not self.__class__:
        return NotImplemented
    return self is other or _values(self) == _values(other)


def _hash(self: Any) -> int:
    return hash(_values(self))


def _repr(self: Any) -> str:
    shown = [f"{name}={getattr(self, name)!r}" for name, one in self.__dataclass_fields__.items() if one.repr]
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _setattr(self: Any, name: str, _: Any) -> NoReturn:
    raise AttributeError(f"{name} of a frozen {type(self).__name__} is not changed")


def _delattr(self: Any, name: str) -> NoReturn:
    raise AttributeError(f"{name} of a frozen {type(self).__name__} is not removed")


def _getstate(self: Any) -> tuple[Any, ...]:
    return _values(self)


def _setstate(self: Any, state: tuple[Any, ...]) -> None:
    for name, value in zip(self.__dataclass_fields__, state, strict=True):
        _set(self, name, value)


_SHARED: dict[str, Any] = {
    "__eq__": _eq,
    "__hash__": _hash,
    "__repr__": _repr,
    "__setattr__": _setattr,
    "__delattr__": _delattr,
    "__getstate__": _getstate,
    "__setstate__": _setstate,
}


# ---- tuples with names


def _of_named(own: dict[str, Any]) -> Any:
    """A tuple class from the body of a class: what `typing.NamedTuple` makes of it."""
    from collections import _tuplegetter  # type: ignore[attr-defined]  # what namedtuple itself uses

    fields = tuple(own.get("__annotations__", ()))
    defaults = {name: own[name] for name in fields if name in own}
    if fields[len(fields) - len(defaults) :] != tuple(defaults):
        raise TypeError("a field without a default follows one with a default")

    def first(cls: Any, /, *values: Any, **named: Any) -> Any:
        names = ", ".join(fields)
        new = eval(f"lambda _cls, {names}: _new(_cls, ({names},))", {"_new": tuple.__new__})  # noqa: S307
        new.__defaults__ = tuple(defaults.values())
        new.__qualname__ = f"{own['__qualname__']}.__new__"
        made.__new__ = staticmethod(new)
        return made.__new__(cls, *values, **named)

    own |= {name: _tuplegetter(at, name) for at, name in enumerate(fields)}
    own |= {name: method for name, method in _NAMED.items() if name not in own}
    own |= {"__slots__": (), "_fields": fields, "_field_defaults": defaults, "__match_args__": fields}
    own["__new__"] = first
    made: Any = type(own["__qualname__"].rpartition(".")[2], (tuple,), own)
    return made


def _named_make(cls: Any, values: Any) -> Any:
    made = tuple.__new__(cls, values)
    if len(made) != len(cls._fields):
        raise TypeError(f"Expected {len(cls._fields)} arguments, got {len(made)}")
    return made


def _named_replace(self: Any, /, **changes: Any) -> Any:
    made = self._make([changes.pop(name, value) for name, value in zip(self._fields, self, strict=True)])
    if changes:
        raise ValueError(f"Got unexpected field names: {list(changes)!r}")
    return made


def _named_dict(self: Any) -> dict[str, Any]:
    return dict(zip(self._fields, self, strict=True))


def _named_repr(self: Any) -> str:
    shown = [f"{name}={value!r}" for name, value in zip(self._fields, self, strict=True)]
    return f"{type(self).__name__}({', '.join(shown)})"


def _named_arguments(self: Any) -> tuple[Any, ...]:
    return tuple(self)


_NAMED: dict[str, Any] = {
    "_make": classmethod(_named_make),
    "_replace": _named_replace,
    "__replace__": _named_replace,
    "_asdict": _named_dict,
    "__repr__": _named_repr,
    "__getnewargs__": _named_arguments,
}

if not TYPE_CHECKING:

    class _Named(type):
        def __new__(cls, name, bases, own):
            return _of_named(own) if bases else super().__new__(cls, name, bases, own)

    class NamedTuple(metaclass=_Named):
        """Base of a tuple with names, as `typing.NamedTuple`. Not generic, nothing beside it as a base."""

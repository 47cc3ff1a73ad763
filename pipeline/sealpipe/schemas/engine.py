"""What the validator decides, in our terms. The only module that names jsonschema_rs.

Its messages and errors carry the instance, so neither leaves this module: a `Problem` has the path, the
keyword and what the schema says.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from sealpipe.frozen import NamedTuple
from sealpipe.paths import Concrete

ENGINE_LIMIT = 200  # problems of one document; more are the same mistake again


class Problem(NamedTuple):
    """One way in which a document does not fit. Holds no value of the document, only key names."""

    path: Concrete
    keyword: str  # "type", "required", "additionalProperties", "secret", …
    at: tuple[str | int, ...] = ()  # of the keyword in the schema that was compiled
    names: tuple[str, ...] = ()  # unknown or missing keys, expected types
    limit: Any = None  # what the keyword says: a bound, the allowed values or keys, the format
    branches: tuple[tuple[Problem, ...], ...] = ()  # of oneOf and anyOf


class Checker:
    """A compiled schema. Offline, formats asserted, no remote references, bounded regular expressions."""

    __slots__ = ("_schema", "_validator")

    def __init__(self, schema: Mapping[str, Any] | bool) -> None:
        """Raises ValueError with one sentence where the schema cannot be compiled."""
        import jsonschema_rs

        self._schema = schema
        fault = ""
        try:
            self._validator = jsonschema_rs.Draft202012Validator(
                schema,  # type: ignore[arg-type]
                formats={"password": _anything},
                validate_formats=True,
                ignore_unknown_formats=False,
                offline=True,
                pattern_options=jsonschema_rs.FancyRegexOptions(backtrack_limit=100_000),
            )
        except ValueError as error:
            # A schema holds no secret; its own text may be named.
            fault = str(error).partition("\n")[0]
        if fault:
            raise ValueError(fault)

    def accepts(self, value: Any) -> bool:
        return self._validator.is_valid(value)

    def problems(self, value: Any) -> list[Problem]:
        """Everything that does not fit, in the validator's order; empty when it fits."""
        if self._validator.is_valid(value):
            return []
        found: list[Problem] = []
        for error in self._validator.iter_errors(value):
            found.append(_problem(error, self._schema))
            if len(found) == ENGINE_LIMIT:
                break
        return found


def _anything(_: str) -> bool:
    return True


# Our word for a kind of error where the keyword alone does not say it.
_KEYWORDS = {
    "PropertyNames": "propertyNames",
    "BacktrackLimitExceeded": "pattern-cost",
    "RegexEngineFailure": "pattern-cost",
    "FalseSchema": "false",
    "OneOfMultipleValid": "oneOf-many",
}


def _problem(error: Any, schema: Any) -> Problem:
    kind = error.kind
    name = type(kind).__name__
    at = tuple(error.schema_path)
    keyword = _KEYWORDS.get(name) or (str(at[-1]) if at else str(kind.name))
    branches: tuple[tuple[Problem, ...], ...] = ()
    if name in ("OneOfNotValid", "AnyOf"):
        branches = tuple(tuple(_problem(inner, schema) for inner in branch) for branch in kind.context)
    if name == "PropertyNames":
        branches = ((_problem(kind.error, schema),),)
    limit = _keys_at(schema, at) if name == "AdditionalProperties" else _limit(kind, name)
    return Problem(tuple(error.instance_path), keyword, at, _names(kind, name), limit, branches)


def _keys_at(schema: Any, at: tuple[str | int, ...]) -> tuple[str, ...]:
    """The keys that the subschema with this `additionalProperties` names."""
    node = schema
    for step in at[:-1]:
        node = node[int(step)] if isinstance(node, list) else node.get(step, {})
    return tuple(node.get("properties", ()))


def _names(kind: Any, name: str) -> tuple[str, ...]:
    if name in ("AdditionalProperties", "UnevaluatedProperties"):
        return tuple(kind.unexpected)
    if name == "Required":
        return (kind.property,)
    if name == "PropertyNames":
        return (str(kind.error.instance),)  # a key, and keys are no secrets
    return tuple(kind.types) if name == "Type" else ()


def _limit(kind: Any, name: str) -> Any:
    if name == "Enum":
        return list(kind.options)
    if name == "Constant":
        return [kind.expected_value]
    for field in ("limit", "format", "pattern", "multiple_of"):
        if hasattr(kind, field):
            return getattr(kind, field)
    return None


@lru_cache(maxsize=4096)
def matches(pattern: str, text: str) -> bool:
    """Whether a key matches a schema's pattern, asked of the engine: its regular expressions are bounded.

    One that costs too much counts as a match: what it may call secret is secret.
    """
    return all(problem.keyword == "pattern-cost" for problem in _pattern(pattern).problems(text))


@lru_cache(maxsize=512)
def _pattern(pattern: str) -> Checker:
    return Checker({"pattern": pattern})


class SchemaFault(NamedTuple):
    """Where a schema breaks the rules of JSON Schema itself."""

    at: tuple[str | int, ...]
    keyword: str


def schema_fault(schema: Mapping[str, Any]) -> SchemaFault | None:
    """What the meta-schema of 2020-12 refuses, or None."""
    import jsonschema_rs

    try:
        jsonschema_rs.meta.validate(dict(schema))
    except ValueError as error:
        at = getattr(error, "instance_path", [])
        kind = getattr(error, "kind", None)
        return SchemaFault(tuple(at), str(getattr(kind, "name", "")))
    return None


def unsatisfiable(schema: Mapping[str, Any]) -> list[str]:
    """JSON Pointers of subschemas that accept nothing and do not say so with a plain `false`.

    Proven ones only: a pointer that is missing here is not proven satisfiable.
    """
    import jsonschema_rs
    from jsonschema_rs import canonical

    try:
        found = canonical.find_unsatisfiable(dict(schema), draft=jsonschema_rs.Draft202012, offline=True)
    except ValueError:
        return []  # what the prover does not model proves nothing
    literal = canonical.UnsatisfiableReason.Literal
    return sorted(pointer for pointer, reason in found.items() if not isinstance(reason, literal))

"""The effective schema of a service, compiled: what decides, what is secret, what merges by key.

schema = effective(workspace.schemas, "checkout", ("_all", "_payments"))
schema.problems(values), schema.part_problems(values)      values with tokens in place
secret_at(schema, ("db", "password"))                      frozenset({"str", "bytes"})
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from sealpipe.canonical import canonical, labelled
from sealpipe.errors import Finding, InputError, Where
from sealpipe.model import SchemaFile
from sealpipe.paths import Concrete, Path, Segment, to_pointer
from sealpipe.schemas.cost import Costs
from sealpipe.schemas.engine import Checker, Problem, matches, schema_fault
from sealpipe.schemas.kept import Kept
from sealpipe.schemas.ordinary import ordinary
from sealpipe.schemas.references import gather, target, too_deep
from sealpipe.schemas.rewrite import partial_schema, sealed_schema
from sealpipe.schemas.values import at, locked, named, plaintext, stand_in, without_deleted
from sealpipe.schemas.walk import Spot, Walk
from sealpipe.tokens import looks_sealed

DEFINITION_LIMIT = 1_000  # the engine follows references by recursion: a chain of 5,000 ends the process
EMPTY = '{"type": "object", "additionalProperties": false, "properties": {}}'


class Compiled:
    """What is made of one schema, whichever services have it. Does not change, but works out on demand."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.schema = schema

    @cached_property
    def digest(self) -> str:
        """Hex of H32("sealpipe.schema.1", canonical schema). Titles and descriptions count."""
        return labelled(32, "sealpipe.schema.1", canonical(self.schema)).hex()

    def usable(self) -> None:
        """Compile. Raises ValueError with a sentence where the schema cannot be used."""
        if not ordinary(self.schema) and self.digest:
            self._whole_checker.accepts({})

    @cached_property
    def walk(self) -> Walk:
        return Walk(self.schema)

    @cached_property
    def sealed(self) -> Mapping[str, Any]:
        """The schema for values with tokens in place."""
        return sealed_schema(self.schema, self.walk)

    @cached_property
    def part(self) -> Mapping[str, Any]:
        """The same for one layer alone."""
        made: dict[str, Any] = partial_schema(self.sealed)
        return made

    @cached_property
    def _costs(self) -> Costs:
        return Costs(self.walk)

    @cached_property
    def _whole_checker(self) -> Checker:
        return Checker(self.sealed)

    @cached_property
    def _part_checker(self) -> Checker:
        return Checker(self.part)

    def problems(self, values: Mapping[str, Any]) -> list[Problem]:
        """Where a merged configuration does not fit. Says nothing of secrets: see `plaintext`."""
        return self._asked(self._whole_checker, values)

    def part_problems(self, values: Mapping[str, Any]) -> list[Problem]:
        """The same for one layer, whose nulls delete and whose rest may stand in another layer."""
        # Of a choice, a layer may delete what only another form than its own describes.
        deleting = any(self.walk.uses(keyword) for keyword in ("x-merge-key", "oneOf", "anyOf"))
        part = without_deleted(values, self.walk.root) if deleting else values
        return self._asked(self._part_checker, part)

    def _asked(self, checker: Checker, values: Mapping[str, Any]) -> list[Problem]:
        # A token where none belongs is said by who checks tokens, and would be a wrong type here as well.
        costly = self._costs.too_costly(values)
        if costly is not None:
            return [Problem(costly, "cost")]
        found = checker.problems(stand_in(values, self.walk.root))
        return [problem for problem in found if not looks_sealed(at(values, problem.path))]

    @cached_property
    def locked_names(self) -> frozenset[str]:
        """Pointers that the schema spells out and calls `x-locked`."""
        locked = (path for path, spot in named(self.walk.root) if spot.annotation("x-locked") is True)
        return frozenset(to_pointer(path) for path in locked)


class Effective:
    """A service's schema (or a shared layer's, for that layer alone). Made by `effective` only."""

    __slots__ = ("compiled", "file", "files", "service")

    def __init__(self, service: str, file: str, files: Mapping[str, str], compiled: Compiled) -> None:
        self.service = service
        self.file = file  # the service's own schema file, for messages
        self.files = files  # top-level property -> schema file that it comes from
        self.compiled = compiled

    @property
    def schema(self) -> Mapping[str, Any]:
        return self.compiled.schema

    @property
    def digest(self) -> str:
        """Hex of H32("sealpipe.schema.1", canonical schema). Titles and descriptions count."""
        return self.compiled.digest

    @property
    def walk(self) -> Walk:
        return self.compiled.walk

    def problems(self, values: Mapping[str, Any]) -> list[Problem]:
        """Where a merged configuration does not fit. Says nothing of secrets: see `plaintext`."""
        return self.compiled.problems(values)

    def part_problems(self, values: Mapping[str, Any]) -> list[Problem]:
        """The same for one layer, whose nulls delete and whose rest may stand in another layer."""
        return self.compiled.part_problems(values)

    def merge_key_at(self, path: Sequence[Segment]) -> str | None:
        """The field by which the list at `path` merges; indices and keyed elements both mean the list."""
        found = self.walk.at(tuple(path)).annotation("x-merge-key")
        return found if isinstance(found, str) else None

    def merge_keys(self, values: Any, path: Concrete = ()) -> dict[str, str]:
        """Pointer of each list in `values` that merges by key -> its field; what `paths.typed` asks for."""
        found: dict[str, str] = {}
        if isinstance(values, Mapping):
            for key, inner in values.items():
                found |= self.merge_keys(inner, (*path, key))
        elif isinstance(values, list):
            field = self.merge_key_at(path)
            if field is not None:
                found[to_pointer(path)] = field
            for index, inner in enumerate(values):
                found |= self.merge_keys(inner, (*path, index))
        return found

    def plaintext(self, values: Mapping[str, Any]) -> Iterator[Concrete]:
        """Paths of values that the schema calls secret, in any branch, and that are not sealed."""
        yield from plaintext(values, self.walk.root)

    def locked(self, values: Mapping[str, Any]) -> tuple[str, ...]:
        """Pointers that a process may not override: those the schema names, and those in `values`."""
        if not self.walk.uses("x-locked"):
            return ()
        standing = {to_pointer(path) for path in locked(values, self.walk.root)}
        return tuple(sorted(self.compiled.locked_names | standing))

    def restart(self, path: Path) -> bool:
        """Whether a change of `path` needs a restart: `x-restart` on it or on a map above it."""
        return any(self.walk.at(path[:n]).annotation("x-restart") is True for n in range(1, len(path) + 1))

    def named(self) -> Iterator[tuple[tuple[str, ...], Spot]]:
        """Every path that the schema spells out, with its spot; a recursive schema's first 8 levels."""
        yield from named(self.walk.root)

    def origin(self, path: Sequence[Segment]) -> str:
        """The schema file that describes a path."""
        return self.files.get(str(path[0]), self.file) if path else self.file


def effective(
    schemas: Mapping[str, SchemaFile], service: str, layers: Sequence[str], *, where: Where | None = None
) -> Effective:
    """The schema of `service`: its own top-level properties and those of its layers' schemas, own winning.

    `service` may be a shared layer's name: then it is that layer's schema alone. `layers` are document
    names, lowest first (`_all`, then the listed ones); one without a schema adds nothing. Raises
    InputError: missing-schema, bad-reference, bad-schema. Does not check what lint checks.
    """
    own = schemas.get(service)
    if own is None:
        raise InputError([_missing(service, where)])
    shared = [schemas[name] for name in layers if name in schemas and name != service]
    parts = (own.schema, *(file.schema for file in shared))
    compiled = _KEPT.get(parts, tuple(file.name for file in shared), lambda: _compile(own, shared))
    files = {key: file.file for file in shared for key in file.schema.get("properties", {})}
    files |= dict.fromkeys(own.schema.get("properties", {}), own.file)
    return Effective(service, own.file, files, compiled)


_KEPT: Kept[Compiled] = Kept()


def _compile(own: SchemaFile, shared: Sequence[SchemaFile]) -> Compiled:
    unfit = [finding for file in (own, *shared) if (finding := _unfit(file)) is not None]
    if unfit:
        raise InputError(unfit)
    merged, bad = gather(own.schema, [(file.name, file.schema) for file in shared])
    if bad:
        raise InputError([_bad_reference(own, shared, reference) for reference in dict.fromkeys(bad)])
    if len(merged.get("$defs", ())) > DEFINITION_LIMIT:
        what = f"the schema refers to more than {DEFINITION_LIMIT} definitions"
        raise InputError([Finding("bad-schema", what, Where(own.file))])
    made = Compiled(merged)
    fault = ""
    try:
        made.usable()
    except ValueError as error:
        fault = str(error)
    if fault:
        raise InputError([Finding("bad-schema", f"the schema cannot be used: {fault}", Where(own.file))])
    return made


def _unfit(file: SchemaFile) -> Finding | None:
    """What would break the walk itself; the rest is lint's."""
    what = "the schema is nested too deep" if too_deep(file.schema) else ""
    if not what and not ordinary(file.schema) and schema_fault(file.schema) is not None:
        what = "this is not JSON Schema 2020-12"
    return Finding("bad-schema", what, Where(file.file), hint=("sealpipe validate",)) if what else None


def _missing(service: str, where: Where | None) -> Finding:
    return Finding(
        "missing-schema",
        f"{service} has no schema, so nothing says what is right and what is secret",
        where or Where(f"schemas/{service}.schema.json"),
        hint=(f"echo '{EMPTY}' > schemas/{service}.schema.json", "then give it the service's settings"),
    )


def _bad_reference(own: SchemaFile, shared: Sequence[SchemaFile], reference: str) -> Finding:
    file = next((f.file for f in (own, *shared) if f'"{reference}"' in f.text), own.file)
    return Finding(
        "bad-reference",
        f"`$ref` {reference} leads nowhere in this file",
        Where(file),
        why=("only references within a file are followed (#/$defs/NAME); nothing is fetched",),
    )


def secret_at(schema: Effective, path: Path) -> frozenset[str] | None:
    """The types that a sealed value may have at `path` when any branch calls it secret; None when none does.

    A path below a secret map is None: see `secret_above`.
    """
    return schema.walk.at(path).secret


def secret_above(schema: Effective, path: Path) -> Path | None:
    """The shortest proper prefix of `path` that is secret as a whole (sealed as `object` or `array`)."""
    for depth in range(len(path)):
        found = schema.walk.at(path[:depth]).secret
        if found and found & {"object", "array"}:
            return path[:depth]
    return None


def known_at(schema: Effective, path: Path) -> bool:
    """Whether the schema describes `path`, in any branch."""
    return schema.walk.at(path).known


def plain_check(schema: Effective, path: Path, value: Any) -> list[Problem]:
    """An opened or typed value against its own subschema; problems' paths are relative to `path`.

    Rules that depend on other values (`if`, `dependentSchemas`) are not checked; of a choice, one branch
    must fit. At an unknown path of a closed map the answer is a problem `false`.
    """
    expression = _expression(schema.schema, schema.schema, path, 0)
    if isinstance(value, str) and _any_text(expression):
        return []
    wrapped = {"allOf": [expression], "$defs": schema.schema.get("$defs", {})}
    costly = Costs(Walk(wrapped)).too_costly(value)
    return Checker(wrapped).problems(value) if costly is None else [Problem(costly, "cost")]


def _any_text(expression: Any) -> bool:
    """Whether it is plain to see that every text fits: the validator need not be loaded to say so."""
    known = {"type", "title", "description", "writeOnly"}
    return isinstance(expression, Mapping) and expression.get("type") == "string" and known >= set(expression)


def _expression(root: Mapping[str, Any], node: Any, path: Path, depth: int) -> Any:
    """One schema for what stands at `path` below `node`; True when nothing is said of it."""
    if not path or not isinstance(node, Mapping) or depth > 64:
        return node if not path else bool(node)
    parts: list[Any] = []
    if "$ref" in node:
        parts.append(_expression(root, target(root, node["$ref"]), path, depth + 1))
    parts += [_expression(root, inner, path, depth + 1) for inner in node.get("allOf", ())]
    for keyword in ("anyOf", "oneOf"):
        if keyword in node:
            parts.append({"anyOf": [_expression(root, inner, path, depth + 1) for inner in node[keyword]]})
    parts += [_expression(root, inner, path[1:], depth + 1) for inner in _children(node, path[0])]
    said = [part for part in parts if part is not True]
    return True if not said else said[0] if len(said) == 1 else {"allOf": said}


def _children(node: Mapping[str, Any], segment: Segment) -> list[Any]:
    if not isinstance(segment, str):
        prefix = node.get("prefixItems", [])
        if isinstance(segment, int) and segment < len(prefix):
            return [prefix[segment]]
        return [node["items"]] if "items" in node else []
    found = [node["properties"][segment]] if segment in node.get("properties", {}) else []
    found += [inner for p, inner in node.get("patternProperties", {}).items() if matches(p, segment)]
    if not found and "additionalProperties" in node:
        found.append(node["additionalProperties"])
    return found

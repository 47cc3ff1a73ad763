"""What a schema says of a path, in every branch at once. Static: no document is needed, none is trusted.

A `Spot` stands for one place in a document and holds every subschema that could apply there, through
`$ref`, `allOf`, `anyOf`, `oneOf`, `if`, `dependentSchemas`, `patternProperties`. It fails closed: what one
branch calls secret is secret.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from sealpipe.frozen import NamedTuple
from sealpipe.paths import Path, Segment
from sealpipe.schemas.engine import matches
from sealpipe.schemas.references import target
from sealpipe.tokens import TYPES

_IN_PLACE_MANY = ("allOf", "anyOf", "oneOf")
_IN_PLACE_ONE = ("if", "then", "else", "not")
_BELOW_ONE = ("additionalProperties", "unevaluatedProperties", "items", "unevaluatedItems", "contains")
# What a schema's type accepts as the type of a sealed value. Bytes are text in the schema's eyes.
_TOKENS = {
    "string": ("str", "bytes"),
    "integer": ("int",),
    "number": ("float", "int"),
    "boolean": ("bool",),
    "object": ("object",),
    "array": ("array",),
    "null": (),
}
# Subschemas that do not apply to values, or from another place.
_ELSEWHERE = frozenset(("$ref", "$defs", "definitions", "propertyNames", "contentSchema"))
_FURTHER = frozenset(
    {*_IN_PLACE_MANY, *_IN_PLACE_ONE, *_BELOW_ONE}
    | {"$ref", "dependentSchemas", "properties", "patternProperties", "prefixItems"}
)
TREE_LIMIT = 1_000
ELEMENT = 0  # any step into a list: every element has the same spot unless `prefixItems` says otherwise


def is_marked(node: Mapping[str, Any]) -> bool:
    """Whether this subschema itself says secret."""
    return node.get("writeOnly") is True or node.get("x-secret") is True


def schema_types(node: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The JSON types that a subschema names, from `type`, `const` or `enum`; None when it names none."""
    stated = node.get("type")
    if isinstance(stated, str):
        return (stated,)
    if isinstance(stated, list):
        return tuple(str(name) for name in stated)
    values = [node["const"]] if "const" in node else node.get("enum")
    if isinstance(values, list):
        return tuple(dict.fromkeys(json_type(value) for value in values))
    return None


def json_type(value: object) -> str:
    """The JSON Schema name of a value's type."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    for kind, name in ((str, "string"), (int, "integer"), (float, "number"), (Mapping, "object")):
        if isinstance(value, kind):
            return name
    return "array"


class _Survey(NamedTuple):
    """One look at all that may apply to anything in a document."""

    nodes: Mapping[int, Mapping[str, Any]]  # by id
    keywords: frozenset[str]
    tree: bool  # nothing is referred to, nothing stands in two places

    @property
    def plain(self) -> bool:
        """Whether nothing in it is secret, or refers to what may be."""
        return self.tree and self.keywords.isdisjoint(("writeOnly", "x-secret"))


class Walk:
    """The spots of one schema. They are made when asked for and kept: a second document costs look-ups."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.schema = schema
        self._spots: dict[tuple[int, ...], Spot] = {}
        self._kept: list[Any] = []  # ids are only unique while their objects live
        self._below: dict[int, bool] = {}
        self.root = self.spot([schema])

    def at(self, path: Path) -> Spot:
        """The spot of a path. A list's index and a keyed element are both a step into the list."""
        spot = self.root
        for segment in path:
            spot = spot.step(segment)
        return spot

    def spot(self, nodes: Sequence[Any]) -> Spot:
        closed = self.inside(*nodes)
        key = tuple(id(node) for node in closed)
        found = self._spots.get(key)
        if found is None:
            self._kept.append(closed)
            found = self._spots[key] = Spot(self, tuple(closed))
        return found

    def inside(self, *nodes: Any) -> list[Mapping[str, Any]]:
        """`nodes` and every subschema that applies to the same place through them."""
        closed: list[Mapping[str, Any]] = []
        seen: set[int] = set()
        waiting = [*reversed(nodes)]
        while waiting:
            node = waiting.pop()
            if isinstance(node, Mapping) and id(node) not in seen:
                seen.add(id(node))
                if len(node) > 1 or "$ref" not in node:
                    closed.append(node)  # a bare reference says nothing of its own
                waiting += reversed([*self.in_place(node)])
        return closed

    def in_place(self, node: Mapping[str, Any]) -> Iterator[Any]:
        """Subschemas that apply to the same place as `node`."""
        if "$ref" in node:
            yield target(self.schema, node["$ref"])
        for keyword in _IN_PLACE_MANY:
            yield from node.get(keyword, ())
        for keyword in _IN_PLACE_ONE:
            if keyword in node:
                yield node[keyword]
        if "dependentSchemas" in node:
            yield from node["dependentSchemas"].values()

    def reaches_secret(self, node: Any) -> bool:
        """Whether `node` or anything below it may be secret."""
        if not isinstance(node, Mapping):
            return False
        known = self._below.get(id(node))
        if known is None and self._survey.plain and id(node) in self._survey.nodes:
            return False
        if known is None:
            reached: set[int] = set()
            known = self._search(node, reached)
            if not known:
                self._below.update(dict.fromkeys(reached, False))
            self._below[id(node)] = known
        return known

    def uses(self, keyword: str) -> bool:
        """Whether an annotation stands anywhere in the schema."""
        return keyword in self._survey.keywords

    @property
    def is_plain(self) -> bool:
        """Whether nothing in the schema is secret; rather no than yes."""
        return self._survey.plain

    @property
    def is_tree(self) -> bool:
        """Whether each subschema applies in one way only: no place can meet one of them twice."""
        return self._survey.tree and len(self._survey.nodes) <= TREE_LIMIT

    @cached_property
    def _survey(self) -> _Survey:
        nodes: dict[int, Mapping[str, Any]] = {}
        keywords: set[str] = set()
        tree, every = True, [self.schema]
        while every:
            node = every.pop()
            if not isinstance(node, Mapping):
                continue
            if id(node) in nodes:
                tree = False
                continue
            nodes[id(node)] = node
            keywords.update(node)
            if not _FURTHER.isdisjoint(node):
                every += [*self.in_place(node), *(inner for _, inner in below(node))]
        return _Survey(nodes, frozenset(keywords), tree and _ELSEWHERE.isdisjoint(keywords))

    def _search(self, start: Mapping[str, Any], reached: set[int]) -> bool:
        waiting: list[Any] = [start]
        while waiting:
            node = waiting.pop()
            if not isinstance(node, Mapping) or id(node) in reached:
                continue
            if is_marked(node) or self._below.get(id(node)) is True:
                return True
            reached.add(id(node))
            waiting += self.in_place(node)
            waiting += [inner for _, inner in below(node)]
        return False


def below(node: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for keyword in ("properties", "patternProperties"):
        for name, inner in node.get(keyword, {}).items():
            yield name, inner
    for keyword in _BELOW_ONE:
        if keyword in node:
            yield keyword, node[keyword]
    for inner in node.get("prefixItems", ()):
        yield "prefixItems", inner


class Spot:
    """Every subschema that could apply at one place. `nodes` is empty where the schema says nothing."""

    __slots__ = ("_holding", "_prefix", "_steps", "_unnamed", "_walk", "holds_secret", "nodes", "secret")

    def __init__(self, walk: Walk, nodes: tuple[Mapping[str, Any], ...]) -> None:
        self._walk = walk
        self._steps: dict[str | int, Spot] = {}
        self._holding: dict[str, Spot] | None = None
        self._unnamed = False
        self._prefix = max((len(node.get("prefixItems", ())) for node in nodes), default=0)
        self.nodes = nodes
        self.secret = _token_types(walk, nodes)  # types a sealed value may have here; None: not secret
        self.holds_secret = any(walk.reaches_secret(node) for node in nodes)

    @property
    def known(self) -> bool:
        """Whether the schema describes this place: only then is it known to be plain."""
        return any(self.nodes)

    def annotation(self, keyword: str) -> Any:
        """The first value of an annotation such as `x-merge-key`, in any branch."""
        return next((node[keyword] for node in self.nodes if keyword in node), None)

    def step(self, segment: Segment) -> Spot:
        key: str | int = segment if isinstance(segment, str) else ELEMENT
        if isinstance(segment, int):
            key = min(segment, self._prefix)
        found = self._steps.get(key)
        if found is None:
            inner = [n for node in self.nodes for n in applying(node, key)]
            found = self._steps[key] = self._walk.spot(inner)
        return found

    def names(self) -> tuple[str, ...]:
        """The keys that `properties` names here, in any branch."""
        return tuple(dict.fromkeys(name for node in self.nodes for name in node.get("properties", {})))

    def holding(self, value: Mapping[str, Any]) -> Iterator[tuple[str, Spot]]:
        """The keys of a map at this place below which a secret may stand, with their spots."""
        if self._holding is None:
            self._unnamed = any(self._walk.reaches_secret(inner) for n in self.nodes for inner in _unnamed(n))
            self._holding = {key: spot for key in self.names() if (spot := self.step(key)).holds_secret}
        if self._unnamed:
            yield from ((key, spot) for key in value if (spot := self.step(key)).holds_secret)
        else:  # few keys, whatever the map holds
            yield from ((key, spot) for key, spot in self._holding.items() if key in value)


def _unnamed(node: Mapping[str, Any]) -> Iterator[Any]:
    """The subschemas for keys that `properties` does not name."""
    yield from node.get("patternProperties", {}).values()
    yield from (
        node[keyword] for keyword in ("additionalProperties", "unevaluatedProperties") if keyword in node
    )


def applying(node: Mapping[str, Any], key: str | int) -> list[Any]:
    """The subschemas of one node for one key or index."""
    if isinstance(key, int):
        prefix = node.get("prefixItems", [])
        inner = [prefix[key]] if key < len(prefix) else [node["items"]] if "items" in node else []
        return inner + [node[k] for k in ("contains", "unevaluatedItems") if k in node]
    inner = []
    if key in node.get("properties", {}):
        inner.append(node["properties"][key])
    inner += [sub for pattern, sub in node.get("patternProperties", {}).items() if matches(pattern, key)]
    if not inner and "additionalProperties" in node:
        inner.append(node["additionalProperties"])
    if not inner and "unevaluatedProperties" in node:
        inner.append(node["unevaluatedProperties"])
    return inner


def _token_types(walk: Walk, nodes: Sequence[Mapping[str, Any]]) -> frozenset[str] | None:
    marked = [node for node in nodes if is_marked(node)]
    if not marked:
        return None
    allowed: set[str] = set()
    for node in marked:
        # The mark may stand beside a `$ref` or an `anyOf` that has the type, or in an `allOf` next to it.
        allowed |= types_of([node]) or types_of(walk.inside(node)) or types_of(nodes) or set(TYPES)
    return frozenset(allowed)


def types_of(nodes: Sequence[Mapping[str, Any]]) -> set[str]:
    """The token types that a group of subschemas names; empty when none does."""
    return {token for node in nodes for name in schema_types(node) or () for token in _TOKENS.get(name, ())}

"""What is wrong with a schema file itself, before any document is held against it."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from sealpipe.errors import Finding
from sealpipe.jsontext import Steps, where
from sealpipe.model import SchemaFile
from sealpipe.paths import from_reference, parse_path, to_pointer
from sealpipe.schemas.engine import Checker, schema_fault, unsatisfiable
from sealpipe.schemas.kept import Kept
from sealpipe.schemas.references import Gathered, children, target, too_deep
from sealpipe.schemas.walk import Walk, is_marked

DIALECT = "https://json-schema.org/draft/2020-12/schema"
OURS = (
    "x-secret",
    "x-merge-key",
    "x-locked",
    "x-restart",
    "x-environment",
    "x-replaced-by",
    "x-removed-after",
)
_PROVABLE = 500  # references
_SHOWN = 20  # of what follows from one cause
_FLAGS = ("writeOnly", "x-secret", "x-locked", "x-restart", "x-environment")
_KEYWORDS = """
    $schema $id $ref $defs $comment definitions
    type enum const multipleOf maximum exclusiveMaximum minimum exclusiveMinimum maxLength minLength pattern
    maxItems minItems uniqueItems maxContains minContains maxProperties minProperties required
    dependentRequired allOf anyOf oneOf not if then else dependentSchemas prefixItems items contains
    properties patternProperties additionalProperties propertyNames unevaluatedItems unevaluatedProperties
    format contentEncoding contentMediaType contentSchema
    title description default deprecated readOnly writeOnly examples discriminator
"""
_KNOWN = frozenset(_KEYWORDS.split())
_NOT_FOLLOWED = (
    "$anchor",
    "$dynamicRef",
    "$dynamicAnchor",
    "$vocabulary",
    "$recursiveRef",
    "$recursiveAnchor",
)
_OLDER = {"dependencies": "dependentRequired or dependentSchemas", "additionalItems": "items"}
# What of a shared layer's schema reaches the services that have the layer.
_LAYER = _KNOWN & {
    *("$schema", "$id", "$comment", "$defs", "definitions", "title", "description", "type"),
    *("properties", "patternProperties", "required", "additionalProperties"),
}


def lint(file: SchemaFile) -> list[Finding]:
    """Everything wrong with one schema file, in the order of the file. Errors make it unusable."""
    beside = (file.text, file.name.startswith("_"))
    found = _KEPT.get((file.schema,), beside, lambda: _lint(file))
    return [f._replace(where=f.where._replace(file=file.file)) if f.where else f for f in found]


_KEPT: Kept[list[Finding]] = Kept()


def _lint(file: SchemaFile) -> list[Finding]:
    fault = _unreadable(file)
    if fault is not None:
        return [fault]
    found: list[Finding] = []
    for steps, node in _nodes(file.schema, ()):
        found += _keywords(file, steps, node)
        found += _secrets(file, steps, node)
        found += _references(file, steps, node)
    if not any(finding.severity == "error" for finding in found):
        found += _in_lists(file)
        found += _open_objects(file)
        found += _defaults(file)
        found += _impossible(file)
    if file.name.startswith("_"):
        found += _layer(file)
    return sorted(found, key=lambda finding: (finding.where or ("", 0, 0))[1:])


def _finding(
    file: SchemaFile, word: str, steps: Steps, what: str, *hint: str, severity: str = "error"
) -> Finding:
    place = where(file.text, file.file, steps, key=True)
    return Finding(word, what, place, "#" + to_pointer(steps), hint=hint, severity=severity)


def _unreadable(file: SchemaFile) -> Finding | None:
    """A fault that makes the rest of the checks meaningless."""
    if too_deep(file.schema):
        return _finding(file, "bad-schema", (), "the schema is nested too deep")
    dialect = file.schema.get("$schema", DIALECT)
    if not isinstance(dialect, str) or dialect.rstrip("#") != DIALECT:
        return _finding(
            file,
            "schema-dialect",
            ("$schema",),
            "only JSON Schema 2020-12 is read",
            f'"$schema": "{DIALECT}"',
        )
    fault = schema_fault(file.schema)
    if fault is not None:
        what = (
            f"this is not JSON Schema: the value of `{fault.at[-1]}` is wrong"
            if fault.at
            else "not JSON Schema"
        )
        return _finding(file, "bad-schema", fault.at, what)
    if file.schema.get("type", "object") != "object" or is_marked(file.schema):
        what = "a configuration is a map, so its schema's type must be `object`, and not secret as a whole"
        return _finding(file, "bad-schema", ("type",), what)
    return None


def _nodes(node: Any, steps: Steps) -> Iterator[tuple[Steps, Mapping[str, Any]]]:
    if isinstance(node, Mapping):
        yield steps, node
        for below, inner in children(node):
            yield from _nodes(inner, (*steps, *below))


def _keywords(file: SchemaFile, steps: Steps, node: Mapping[str, Any]) -> Iterator[Finding]:
    for keyword, value in node.items():
        at = (*steps, keyword)
        if keyword in _NOT_FOLLOWED or (keyword == "$id" and steps):
            what = f"`{keyword}` is not followed: only references such as #/$defs/NAME are"
            yield _finding(file, "unknown-keyword", at, what)
        elif keyword in _OLDER:
            what = f"`{keyword}` belongs to an older JSON Schema and would be ignored"
            yield _finding(file, "unknown-keyword", at, what, f"use {_OLDER[keyword]}")
        elif keyword not in _KNOWN:
            yield from _unknown(file, at, keyword)
        if keyword in (*_FLAGS, "readOnly", "deprecated") and not isinstance(value, bool):
            yield _finding(file, "bad-schema", at, f"`{keyword}` must be true or false")
        if keyword == "format" and not _compiles({"format": value}):
            what = f"there is no format `{value}`, so nothing would be checked"
            yield _finding(file, "unknown-format", at, what)
        if keyword == "pattern" and not _compiles({"pattern": value}):
            yield _finding(file, "bad-pattern", at, "this regular expression cannot be used")
    for pattern in node.get("patternProperties", {}):
        if not _compiles({"pattern": pattern}):
            at = (*steps, "patternProperties", pattern)
            yield _finding(file, "bad-pattern", at, "this regular expression cannot be used")
    yield from _merge_key(file, steps, node)
    yield from _ageing(file, steps, node)


def _ageing(file: SchemaFile, steps: Steps, node: Mapping[str, Any]) -> Iterator[Finding]:
    last, instead = node.get("x-removed-after"), node.get("x-replaced-by")
    if last is not None and not _is_date(last):
        what = "`x-removed-after` must be a date such as 2027-01-31"
        yield _finding(file, "bad-schema", (*steps, "x-removed-after"), what)
    if instead is None:
        return
    at = (*steps, "x-replaced-by")
    if not isinstance(instead, str):
        yield _finding(file, "bad-schema", at, "`x-replaced-by` must be the path of a setting")
    elif not _describes(file, instead):
        what = f"`x-replaced-by` names `{instead}`, which this schema does not describe"
        yield _finding(file, "unknown-replacement", at, what)


def _is_date(value: object) -> bool:
    try:
        return isinstance(value, str) and date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False


def _describes(file: SchemaFile, path: str) -> bool:
    try:
        return Walk(file.schema).at(parse_path(path)).known
    except ValueError:
        return False


def _unknown(file: SchemaFile, at: Steps, keyword: str) -> Iterator[Finding]:
    known = OURS if keyword.startswith("x-") else sorted(_KNOWN)
    if keyword in known:
        return
    near = difflib.get_close_matches(keyword, known, n=1, cutoff=0.75)
    if keyword.startswith("x-") and not near:
        return
    hint = (
        (f"did you mean `{near[0]}`?",) if near else ("for notes of your own: a keyword that begins with x-",)
    )
    yield _finding(file, "unknown-keyword", at, f"`{keyword}` is no keyword, so it would be ignored", *hint)


def _compiles(schema: Mapping[str, Any]) -> bool:
    try:
        Checker(schema)
    except ValueError:
        return False
    return True


def _merge_key(file: SchemaFile, steps: Steps, node: Mapping[str, Any]) -> Iterator[Finding]:
    if "x-merge-key" not in node:
        return
    name = node["x-merge-key"]
    items = node.get("items")
    if isinstance(items, Mapping) and "$ref" in items:
        items = target(file.schema, items["$ref"])
    inner = items.get("properties", {}).get(name) if isinstance(items, Mapping) else None
    at = (*steps, "x-merge-key")
    if not isinstance(name, str) or inner is None:
        what = "`x-merge-key` must name a property of the list's elements (`items`)"
        yield _finding(file, "bad-merge-key", at, what)
    elif name not in items.get("required", []):  # type: ignore[union-attr]
        what = f"elements without `{name}` could not be told apart"
        yield _finding(file, "bad-merge-key", at, what, f'add "required": ["{name}"] to `items`')
    elif isinstance(inner, Mapping) and is_marked(inner):
        yield _finding(file, "bad-merge-key", at, f"`{name}` names the elements, so it cannot be secret")


def _secrets(file: SchemaFile, steps: Steps, node: Mapping[str, Any]) -> Iterator[Finding]:
    if is_marked(node):
        if node.get("default") is not None:
            what = "a secret has no default: this one stands in clear in the repository"
            yield _finding(file, "secret-default", (*steps, "default"), what)
    elif node.get("format") == "password":
        what = "`format: password` alone does not make a secret"
        yield _finding(file, "unmarked-password", (*steps, "format"), what, 'add "writeOnly": true')


def _references(file: SchemaFile, steps: Steps, node: Mapping[str, Any]) -> Iterator[Finding]:
    if "$ref" not in node:
        return
    reference = node["$ref"]
    if not isinstance(reference, str) or from_reference(reference) is None:
        what = "only references within the file are followed (#/$defs/NAME); nothing is fetched"
        yield _finding(file, "bad-reference", (*steps, "$ref"), what)
    elif target(file.schema, reference) is None:
        yield _finding(file, "bad-reference", (*steps, "$ref"), f"{reference} leads nowhere in this file")


def _applied(file: SchemaFile, node: Mapping[str, Any], steps: Steps) -> Iterator[tuple[Steps, Any, str]]:
    """Subschemas that can apply below or beside `node`, definitions only by reference; with their keyword."""
    for below, inner in children(node):
        if below[0] not in ("$defs", "definitions"):
            yield (*steps, *below), inner, str(below[0])
    if "$ref" in node:
        yield from_reference(node["$ref"]) or (), target(file.schema, node["$ref"]), "$ref"


def _in_lists(file: SchemaFile) -> Iterator[Finding]:
    """Secrets inside lists whose elements have no name: a sealed value would have no place of its own."""
    seen: set[tuple[int, bool]] = set()
    waiting: list[tuple[Steps, Any, bool]] = [((), file.schema, False)]
    while waiting:
        steps, node, listed = waiting.pop()
        if not isinstance(node, Mapping) or (id(node), listed) in seen:
            continue
        seen.add((id(node), listed))
        if is_marked(node):
            if listed:
                what = "a secret inside a list whose elements have no name cannot be sealed in its place"
                hints = ('name the elements: "x-merge-key" on the list', "or make the whole list the secret")
                yield _finding(file, "secret-in-list", steps, what, *hints)
            continue
        for below, inner, keyword in _applied(file, node, steps):
            element = keyword in ("items", "prefixItems", "contains", "unevaluatedItems")
            waiting.append((below, inner, listed or (element and "x-merge-key" not in node)))


def _open_objects(file: SchemaFile) -> Iterator[Finding]:
    """Maps that take any key: a typo passes, and so does a secret under another name."""
    seen: set[tuple[int, bool]] = set()
    waiting: list[tuple[Steps, Any, bool]] = [((), file.schema, False)]
    while waiting:
        steps, node, covered = waiting.pop()
        if not isinstance(node, Mapping) or (id(node), covered) in seen:
            continue
        seen.add((id(node), covered))
        closed = covered or "additionalProperties" in node or "unevaluatedProperties" in node
        # A choice of closed forms is closed; what a form refers to is looked at where it stands.
        forms = [*node.get("oneOf", ()), *node.get("anyOf", ())]
        closed = closed or (bool(forms) and all(map(_closed_form, forms)))
        if not closed and _describes_map(node) and not is_marked(node):
            what = "this map takes any key, so a typo passes"
            yield _finding(file, "open-object", steps, what, 'add "additionalProperties": false')
        for below, inner, keyword in _applied(file, node, steps):
            beside = keyword in ("allOf", "anyOf", "oneOf", "$ref", "then", "else", "dependentSchemas")
            if keyword not in ("if", "not", "propertyNames", "contentSchema"):
                waiting.append((below, inner, beside and closed))


def _describes_map(node: Mapping[str, Any]) -> bool:
    stated = node.get("type")
    is_map = stated == "object" or (isinstance(stated, list) and "object" in stated)
    return "properties" in node or "patternProperties" in node or (is_map and "$ref" not in node)


def _defaults(file: SchemaFile) -> Iterator[Finding]:
    for steps, node in _nodes(file.schema, ()):
        if "default" not in node or is_marked(node):
            continue
        gathered = Gathered()
        alone = gathered.copy(node, file.schema, "")
        gathered.finish()
        if not Checker({**alone, "$defs": gathered.defs}).accepts(node["default"]):
            yield _finding(
                file, "bad-default", (*steps, "default"), "this default does not fit its own schema"
            )


def _closed_form(form: Any) -> bool:
    return form is False or (isinstance(form, Mapping) and bool({"additionalProperties", "$ref"} & set(form)))


def _impossible(file: SchemaFile) -> Iterator[Finding]:
    # A service may require what only the schema of a layer describes.
    properties = {**dict.fromkeys(file.schema.get("required", ()), True), **file.schema.get("properties", {})}
    whole = {**file.schema, "properties": properties} if properties else file.schema
    # The prover recurses along references, to the end of the stack.
    provable = file.text.count('"$ref"') <= _PROVABLE
    for pointer in unsatisfiable(whole)[:_SHOWN] if provable else ():
        steps = from_reference("#" + pointer) or ()
        node = target(file.schema, "#" + pointer)
        # Who refers to an impossible definition is impossible too; the definition is the cause.
        if isinstance(node, Mapping) and "$ref" not in node:
            yield _finding(
                file, "impossible-schema", steps, "no value can fit this: its rules exclude each other"
            )


def _layer(file: SchemaFile) -> Iterator[Finding]:
    for keyword in file.schema:
        if keyword not in _LAYER and not keyword.startswith("x-"):
            what = f"`{keyword}` of a shared layer's schema does not reach the services that have the layer"
            hint = "rules over several keys belong in the service's schema"
            yield _finding(file, "layer-schema", (keyword,), what, hint)

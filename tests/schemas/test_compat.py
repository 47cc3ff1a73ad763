from __future__ import annotations

from typing import Any

import pytest

from sealpipe.checks.running import tolerant
from sealpipe.looking.schema_changes import changes
from sealpipe.schemas.compat import covers


def closed(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": properties}


PORT = {"type": "integer", "minimum": 1, "maximum": 65535}


@pytest.mark.parametrize(
    ("old", "new", "verdict"),
    [
        (closed(port=PORT), closed(port=PORT), "yes"),
        (closed(port=PORT), closed(port=PORT, host={"type": "string"}), "yes"),
        (closed(port=PORT), closed(port={**PORT, "maximum": 70_000}), "yes"),
        (closed(port=PORT), closed(port={**PORT, "maximum": 1024}), "no"),
        (closed(port=PORT), closed(port={"type": "string"}), "no"),
        (closed(port=PORT), {**closed(port=PORT), "required": ["port"]}, "no"),
        ({**closed(port=PORT), "required": ["port"]}, closed(port=PORT), "yes"),
        (closed(a={"enum": ["x", "y"]}), closed(a={"enum": ["x"]}), "no"),
        (closed(a={"enum": ["x"]}), closed(a={"enum": ["y", "x"]}), "yes"),
        (closed(a={"type": "string", "x-restart": True}), closed(a={"type": "string"}), "yes"),
        (closed(**{"x-restart": PORT}), closed(**{"x-restart": {"type": "string"}}), "no"),
    ],
)
def test_inclusion(old: dict[str, Any], new: dict[str, Any], verdict: str) -> None:
    assert covers(new, old) == verdict


def test_what_cannot_be_decided_is_said() -> None:
    old = closed(a={"type": "string", "pattern": "^[a-z]+$"})
    new = closed(a={"type": "string", "pattern": "^[a-z][a-z]*$"})
    assert covers(new, old) == "unknown"


def test_changes_name_their_place_and_leave_out_notes() -> None:
    old = {**closed(port=PORT, gone={"type": "string"}), "title": "Old"}
    new = {**closed(port={**PORT, "maximum": 9}, title={"type": "string"}), "title": "New"}
    assert [(one.pointer, one.kind) for one in changes(old, new)] == [
        ("/properties/port/maximum", "changed"),
        ("/properties/gone", "removed"),
        ("/properties/title", "added"),
    ]


DB = {**closed(host={"type": "string"}, port=PORT), "title": "Db"}


def test_a_definition_says_what_it_says_in_its_place() -> None:
    """A class has its models in `$defs`, a file that `set` wrote has them in place."""
    inline = closed(db=DB, other={"anyOf": [DB, {"type": "null"}]})
    reference = {"$ref": "#/$defs/Db", "description": "the database"}
    defined = {**closed(db=reference, other={"anyOf": [reference, {"type": "null"}]}), "$defs": {"Db": DB}}
    assert not [*changes(inline, defined), *changes(defined, inline)]
    narrower = closed(host={"type": "string"}, port={**PORT, "maximum": 9})
    found = [(one.pointer, one.kind) for one in changes(inline, {**defined, "$defs": {"Db": narrower}})]
    assert found == [
        ("/properties/db/properties/port/maximum", "changed"),
        ("/properties/other/anyOf/0/properties/port/maximum", "changed"),
    ]
    lost = next(changes(defined, {**defined, "$defs": {}}))
    assert (lost.pointer, lost.kind) == ("/properties/db/type", "removed")


def test_how_a_form_shows_a_secret_does_not_count() -> None:
    secret = {"type": "string", "writeOnly": True}
    assert not list(changes(closed(pw=secret), closed(pw={**secret, "format": "password"})))
    assert list(changes(closed(pw={**secret, "format": "uri"}), closed(pw={**secret, "format": "password"})))
    assert list(changes(closed(), closed(format={"type": "string"})))


def test_definitions_that_hold_themselves_end() -> None:
    def tree(title: str, **more: Any) -> dict[str, Any]:
        node = closed(left={"$ref": f"#/$defs/{title}"}, value=PORT, **more)
        return {"$ref": f"#/$defs/{title}", "$defs": {title: node}}

    assert not list(changes(tree("Node"), tree("Tree")))
    found = [one.pointer for one in changes(tree("Node"), tree("Tree", name={"type": "string"}))]
    assert found == ["/properties/name"]
    unrolled = closed(left=closed(left={"$ref": "#/$defs/N"}, value=PORT), value=PORT)
    assert not list(changes(tree("N"), {**unrolled, "$defs": tree("N")["$defs"]}))
    unrolled["properties"]["left"]["properties"]["value"] = {"type": "string"}
    assert list(changes(tree("N"), {**unrolled, "$defs": tree("N")["$defs"]}))


def test_the_order_of_names_does_not_count() -> None:
    assert not list(changes({"required": ["a", "b"]}, {"required": ["b", "a"]}))
    assert list(changes({"prefixItems": [1, 2]}, {"prefixItems": [2, 1]}))


def test_true_is_not_one() -> None:
    assert list(changes({"const": 1}, {"const": True}))


def test_tolerant_opens_closed_maps_only() -> None:
    assert tolerant(closed(a=closed(b=PORT))) == {
        "type": "object",
        "properties": {"a": {"type": "object", "properties": {"b": PORT}}},
    }
    kept = {"const": {"additionalProperties": False, "properties": {}}}
    assert tolerant(kept) == kept
    assert tolerant({"additionalProperties": {"type": "integer"}}) == {
        "additionalProperties": {"type": "integer"}
    }

"""Layers to one tree: the laws of RFC 7396, the guards, lists that merge by key, and who decides."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from documents.strategies import KEYS, SCALARS, layers
from sealpipe.checks.locate import deciding
from sealpipe.documents.origins import origins
from sealpipe.documents.read import read_yaml
from sealpipe.documents.write import dump_yaml
from sealpipe.errors import Where
from sealpipe.model import Document, DocumentId
from sealpipe.paths import Member, Segment, lookup, parse_path, to_pointer
from sealpipe.stages.merge import LEAF_LIMIT, Merged, merge, provenance

TOKEN = "ENC[NACL1,type:str,data:AbC-_1]"


def document(name: str, content: str | dict[str, Any]) -> Document:
    text = content if isinstance(content, str) else dump_yaml(content)
    file = f"environments/{name}/checkout.yaml"
    return Document(DocumentId(name, "checkout"), file, text, read_yaml(text, file=file))


def documents(*contents: str | dict[str, Any]) -> list[Document]:
    return [document(f"e{number}", content) for number, content in enumerate(contents)]


def no_keys(_: Sequence[Segment]) -> str | None:
    return None


def keyed(*lists: str) -> Callable[[Sequence[Segment]], str | None]:
    """Merge keys at these paths, written without elements: `a.b`."""

    def at(path: Sequence[Segment]) -> str | None:
        names = ".".join(segment for segment in path if isinstance(segment, str))
        return "name" if names in lists and isinstance(path[-1], str) else None

    return at


def words(merged: Merged) -> list[str]:
    return [finding.word for finding in merged.findings]


def rfc_7396(target: Any, patch: Any) -> Any:
    """The pseudo-code of the RFC, word for word."""
    if isinstance(patch, dict):
        target = dict(target) if isinstance(target, dict) else {}
        for name, value in patch.items():
            if value is None:
                target.pop(name, None)
            else:
                target[name] = rfc_7396(target.get(name), value)
        return target
    return patch


def test_maps_merge_lists_and_scalars_replace_null_deletes() -> None:
    low = "db: {pool: 5, url: x}\nxs: [1, 2]\nold: 1\ndeep: {a: {b: 1, c: 2}}\n"
    high = "db: {pool: 6}\nxs: [3]\nold: null\ndeep: {a: {b: null}}\nnew: 1\n"
    merged = merge(documents(low, high), no_keys)
    assert merged.findings == []
    assert merged.values == {
        "db": {"pool": 6, "url": "x"}, "xs": [3], "deep": {"a": {"c": 2}}, "new": 1,
    }  # fmt: skip
    assert list(merged.values) == ["db", "xs", "deep", "new"]


def test_null_inside_a_list_is_a_value() -> None:
    assert merge(documents("xs: [null, {a: null}]\n"), no_keys).values == {"xs": [None, {"a": None}]}


@pytest.mark.parametrize("content", ["a: null\n", "a: {b: null}\n", "a: {b: {c: ~}}\n"])
def test_deleting_what_nobody_sets_is_found(content: str) -> None:
    merged = merge(documents("z: 1\n", content), no_keys)
    assert words(merged) == ["deletes-nothing"]
    assert merged.findings[0].where is not None
    assert merged.findings[0].where.file == "environments/e1/checkout.yaml"
    assert merged.findings[0].where.line == 1


def test_deleting_twice_is_found() -> None:
    assert words(merge(documents("a: 1\n", "a: null\n", "a: null\n"), no_keys)) == ["deletes-nothing"]
    assert merge(documents("a: 1\n", "a: null\n", "a: 2\n"), no_keys).values == {"a": 2}


@pytest.mark.parametrize(
    ("low", "high"),
    [
        ("a: {x: 1}\n", "a: 1\n"),
        ("a: 1\n", "a: {x: 1}\n"),
        ("a: [1]\n", "a: 1\n"),
        ("a: 1\n", "a: [1]\n"),
        ("a: {x: 1}\n", "a: [1]\n"),
        ("a: [1]\n", "a: {x: 1}\n"),
        (f"a: {TOKEN}\n", "a: {x: 1}\n"),
        ("a: {x: 1}\n", f"a: {TOKEN}\n"),
    ],
)
def test_a_change_of_kind_names_both_places(low: str, high: str) -> None:
    merged = merge(documents("# comment\n" + low, "z: 1\n" + high), no_keys)
    [finding] = merged.findings
    assert finding.word == "kind-change"
    assert finding.where == Where("environments/e1/checkout.yaml", 2, 1)
    assert any("environments/e0/checkout.yaml:2:1" in why for why in finding.why)
    assert finding.path == "a"
    assert "AbC" not in str(finding)


@pytest.mark.parametrize("other", ["1", "text", "[1, 2]", TOKEN.replace("AbC", "XyZ"), "true"])
def test_a_sealed_value_replaces_and_is_replaced_whole(other: str) -> None:
    assert merge(documents(f"a: {TOKEN}\n", f"a: {other}\n"), no_keys).findings == []
    merged = merge(documents(f"a: {other}\n", f"a: {TOKEN}\n"), no_keys)
    assert merged.findings == []
    assert merged.values == {"a": TOKEN}


def test_keyed_lists() -> None:
    low = "xs:\n- {name: eu, port: 1, tls: {on: true}}\n- {name: us, port: 2}\n- {name: ap, port: 3}\n"
    high = "xs:\n- {name: asia, port: 4}\n- {name: us, $delete: true}\n- {name: eu, port: 9, tls: {min: 2}}\n"
    merged = merge(documents(low, high), keyed("xs"))
    assert merged.findings == []
    assert merged.values == {
        "xs": [
            {"name": "eu", "port": 9, "tls": {"on": True, "min": 2}},
            {"name": "ap", "port": 3},
            {"name": "asia", "port": 4},
        ]
    }
    assert merged.merge_keys == {"/xs": "name"}
    owners = {
        path: merged.owner(parse_concrete(path)) for path in ("xs[0].port", "xs[0].tls.on", "xs[1].port")
    }
    assert {path: owner.id.environment if owner else None for path, owner in owners.items()} == {
        "xs[0].port": "e1", "xs[0].tls.on": "e0", "xs[1].port": "e0",
    }  # fmt: skip


def parse_concrete(text: str) -> tuple[str | int, ...]:
    return tuple(segment for segment in parse_path(text) if not isinstance(segment, Member))


def test_keyed_lists_in_keyed_lists() -> None:
    low = "xs:\n- name: eu\n  ports:\n  - {name: http, at: 80}\n  - {name: tls, at: 443}\n"
    high = "xs:\n- name: eu\n  ports:\n  - {name: tls, at: 444}\n"
    merged = merge(documents(low, high), keyed("xs", "xs.ports"))
    assert merged.findings == []
    assert lookup(merged.values, ("xs", 0, "ports", 1, "at")) == 444
    assert merged.merge_keys == {"/xs": "name", "/xs/0/ports": "name"}


def test_names_of_elements_have_types() -> None:
    merged = merge(
        documents("xs: [{name: 1, a: 1}, {name: '1', a: 2}]\n", "xs: [{name: true, a: 3}]\n"), keyed("xs")
    )
    assert merged.findings == []
    assert [item["a"] for item in merged.values["xs"]] == [1, 2, 3]


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [
        ("xs: [{name: a}]\n", "xs: [{port: 1}]\n", "missing-merge-key"),
        ("xs: [{name: a}]\n", "xs: [1]\n", "missing-merge-key"),
        ("xs: [{name: a}]\n", "xs: [{name: 1.5}]\n", "missing-merge-key"),
        ("xs: [{name: a}]\n", f"xs: [{{name: '{TOKEN}'}}]\n", "missing-merge-key"),
        ("xs: [{name: a}]\n", "xs: [{name: b}, {name: b}]\n", "duplicate-merge-key"),
        ("xs: [{name: a}, {name: a}]\n", "z: 1\n", "duplicate-merge-key"),
        ("xs: [{name: a}]\n", "xs: [{name: b, $delete: true}]\n", "deletes-nothing"),
        ("xs: [{name: a, $delete: true}]\n", "z: 1\n", "deletes-nothing"),
        ("xs: [{name: a}]\n", "xs: [{name: a, $delete: true, port: 1}]\n", "bad-delete"),
        ("xs: [{name: a}]\n", "xs: [{name: a, $delete: yes}]\n", "bad-delete"),
        ("xs: [{name: a}]\n", "xs: [{name: a, port: null}]\n", "deletes-nothing"),
        ("xs: [{name: a}]\n", f"xs: {TOKEN}\n", "kind-change"),
        (f"xs: {TOKEN}\n", "xs: [{name: a}]\n", "kind-change"),
    ],
)
def test_guards_of_keyed_lists(low: str, high: str, word: str) -> None:
    merged = merge(documents(low, high), keyed("xs"))
    assert words(merged) == [word]
    assert merged.findings[0].where is not None
    assert merged.findings[0].hint
    assert "AbC" not in str(merged.findings)


def test_without_a_merge_key_the_list_replaces() -> None:
    assert merge(documents("xs: [{name: a}]\n", "xs: [{name: b}]\n"), no_keys).values == {
        "xs": [{"name": "b"}]
    }


def test_more_than_10_000_values_are_refused() -> None:
    many = "xs: [" + "1, " * (LEAF_LIMIT - 1) + "1]\n"
    assert merge(documents(many), no_keys).findings == []
    assert words(merge(documents(many, "b: 1\n"), no_keys)) == ["too-many-values"]


def test_no_documents_give_nothing() -> None:
    assert merge([], no_keys).values == {}


# ---- laws


@given(st.lists(layers(), min_size=1, max_size=4))
@settings(max_examples=120, deadline=None)
def test_is_rfc_7396_where_the_guards_are_quiet(contents: list[dict[str, Any]]) -> None:
    given_documents = documents(*contents)
    before = copy.deepcopy([dict(d.values) for d in given_documents])
    merged = merge(given_documents, no_keys)
    assert [d.values for d in given_documents] == before
    if merged.findings:
        assert set(words(merged)) <= {"kind-change"}
        return
    expected: Any = {}
    for content in contents:
        expected = rfc_7396(expected, content)
    assert merged.values == expected


@given(layers())
@settings(max_examples=60, deadline=None)
def test_one_layer_is_itself_and_empty_layers_change_nothing(content: dict[str, Any]) -> None:
    assert merge(documents(content), no_keys).values == content
    assert merge(documents(content, content), no_keys).values == content
    merged = merge(documents({}, content, {}), no_keys).values
    assert merged == content
    assert list(merged) == list(content)


@given(st.lists(layers(), min_size=1, max_size=4))
@settings(max_examples=120, deadline=None)
def test_the_owner_of_a_leaf_has_its_value(contents: list[dict[str, Any]]) -> None:
    given_documents = documents(*contents)
    merged = merge(given_documents, no_keys)
    if merged.findings:
        return
    for path, value in leaves(merged.values):
        owner = merged.owner(path)
        assert owner is not None
        assert lookup(owner.values, path) == value
        at_list = path[: next((i for i, s in enumerate(path) if isinstance(s, int)), len(path))]
        told = provenance(given_documents, at_list)
        assert [entry.document for entry in told if entry.wins] == [owner]


def leaves(node: Any, path: tuple[str | int, ...] = ()) -> list[tuple[tuple[str | int, ...], Any]]:
    if isinstance(node, dict):
        return [found for key, value in node.items() for found in leaves(value, (*path, key))]
    if isinstance(node, list):
        return [found for index, value in enumerate(node) for found in leaves(value, (*path, index))]
    return [(path, node)]


NAMED = st.lists(
    st.fixed_dictionaries({"name": KEYS}, optional={"a": SCALARS, "b": SCALARS}),
    max_size=4,
    unique_by=lambda item: item["name"],
)


@given(st.lists(NAMED, min_size=1, max_size=3))
@settings(max_examples=120, deadline=None)
def test_keyed_lists_merge_as_maps_of_their_names_do(lists: list[list[dict[str, Any]]]) -> None:
    as_lists = merge(documents(*({"xs": items} for items in lists)), keyed("xs"))
    as_maps = merge(documents(*({"xs": {item["name"]: item for item in items}} for items in lists)), no_keys)
    assert as_lists.findings == as_maps.findings == []
    assert as_lists.values["xs"] == list(as_maps.values["xs"].values())
    for path, _ in leaves(as_lists.values):
        owner = as_lists.owner(path)
        other = as_maps.owner(("xs", lists_name(as_lists.values, path), *path[2:]))
        assert owner is not None
        assert other is not None
        assert owner.id == other.id


def lists_name(values: Any, path: tuple[str | int, ...]) -> str:
    return str(lookup(values, path[:2])["name"])


# ---- provenance


def test_provenance_tells_every_layer() -> None:
    layers_given = documents("a: {b: 1}\n", "z: 1\n", "a: null\n", "a: {b: 3, c: 4}\n", "a: {c: 5}\n")
    assert merge(layers_given, no_keys).findings == []
    told = provenance(layers_given, ("a", "b"))
    assert [(entry.kind, entry.value, entry.wins) for entry in told] == [
        ("set", 1, False),
        ("unset", None, False),
        ("deleted", None, False),
        ("set", 3, True),
        ("unset", None, False),
    ]
    assert not any(entry.wins for entry in provenance(layers_given[:3], ("a", "b")))
    assert [entry.kind for entry in provenance(layers_given, ("none",))] == ["unset"] * 5


def test_provenance_in_keyed_lists() -> None:
    layers_given = documents(
        "xs: [{name: eu, port: 1}, {name: us, port: 2}]\n",
        "xs: [{name: us, port: 3}, {name: eu, $delete: true}]\n",
    )
    told = provenance(layers_given, parse_path("xs[name=us].port"))
    assert [(entry.kind, entry.path, entry.wins) for entry in told] == [
        ("set", ("xs", 1, "port"), False),
        ("set", ("xs", 0, "port"), True),
    ]
    told = provenance(layers_given, parse_path("xs[name=eu].port"))
    assert [(entry.kind, entry.wins) for entry in told] == [("set", False), ("deleted", False)]


def test_pointers_of_keyed_lists_are_those_of_the_merged_tree() -> None:
    merged = merge(documents("o/x: {xs: [{name: a}]}\n"), keyed("o/x.xs"))
    assert merged.merge_keys == {to_pointer(("o/x", "xs")): "name"}


@given(st.lists(layers(), min_size=1, max_size=4))
@settings(max_examples=100, deadline=None)
def test_three_views_agree_on_who_decides(contents: list[dict[str, Any]]) -> None:
    """The walk over the layers, the result of the merge, and the place that findings and plans name."""
    kept = documents(*contents)
    merged = merge(kept, no_keys)
    if merged.findings:
        return
    for path in places(merged.values):
        decided = path[: next((at for at, step in enumerate(path) if isinstance(step, int)), len(path))]
        said = [entry for entry in provenance(kept, decided) if entry.wins]
        assert [entry.document for entry in said] == [merged.owner(path)]
        assert said[0].value == lookup(merged.values, decided)
        document, local = deciding(kept, merged.values, merged.merge_keys, path)
        assert document == said[0].document
        assert lookup(document.values, local) == lookup(merged.values, path)
        assert origins(document.text, file=document.file).where(local) is not None


def places(node: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    if not isinstance(node, dict | list) or not node:
        return [path] if path else []
    entries = node.items() if isinstance(node, dict) else enumerate(node)
    return [found for step, inner in entries for found in places(inner, (*path, step))]

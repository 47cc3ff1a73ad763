"""A unit's documents merged, with every sealed value and the document whose key it has."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from repositories import write
from sealpipe.errors import InputError
from sealpipe.model import DocumentId, LayeredConfig
from sealpipe.paths import Member, Segment
from sealpipe.released import Unit
from sealpipe.stages.layer import documents_of, layer, sealed_strings
from sealpipe.stages.load import load, units
from sealpipe.trees import WorkTree

PROJECT = """\
format: 1
project: 5b0c7a1e9f2d4c6688aa01d3e7f4b912
environments:
  base: {}
  production: {publish_to: file:store}
  eu: {publish_to: file:store, extends: production, services: inherit}
services:
  checkout: {layers: [_payments]}
"""
A, B = "ENC[NACL1,type:str,data:AAAA]", "ENC[NACL1,type:str,data:BBBB]"
FILES: dict[str, str | bytes] = {
    "sealpipe.yaml": PROJECT,
    "environments/base/_all.yaml": "log: {level: info}\n",
    "environments/base/checkout.yaml": "db: {pool: 5, url: x}\nold: 1\n",
    "environments/production/_payments.yaml": f"psp: {{key: '{A}'}}\n",
    "environments/production/checkout.yaml": f"db: {{pool: 50, password: '{A}'}}\nold: null\n",
    "environments/eu/_all.yaml": "log: {level: warn}\n",
    "environments/eu/checkout.yaml": f"db: {{password: '{B}'}}\n",
}


def no_keys(_: Sequence[Segment]) -> str | None:
    return None


def named(path: Sequence[Segment]) -> str | None:
    return "name" if tuple(path) == ("hooks",) else None


def layered(root: Path, unit: Unit, files: dict[str, str | bytes], *, keyed: bool = False) -> LayeredConfig:
    write(root, {**FILES, **files})
    return layer(load(WorkTree(root)), unit, named if keyed else no_keys)


def refused(root: Path, files: dict[str, str | bytes], *, keyed: bool = False) -> InputError:
    with pytest.raises(InputError) as caught:
        layered(root, Unit("production", "checkout"), files, keyed=keyed)
    assert "AAAA" not in str(caught.value.findings)
    return caught.value


def test_layers_of_the_chain_in_order(tmp_path: Path) -> None:
    config = layered(tmp_path, Unit("eu", "checkout"), {})
    assert [document.file for document in config.documents] == [
        "environments/base/_all.yaml",
        "environments/base/checkout.yaml",
        "environments/production/_payments.yaml",
        "environments/production/checkout.yaml",
        "environments/eu/_all.yaml",
        "environments/eu/checkout.yaml",
    ]
    assert config.values == {
        "log": {"level": "warn"},
        "db": {"pool": 50, "url": "x", "password": B},
        "psp": {"key": A},
    }


def test_a_sealed_value_belongs_to_the_document_that_decides_it(tmp_path: Path) -> None:
    config = layered(tmp_path, Unit("eu", "checkout"), {})
    assert {(s.pointer, s.token, str(s.document), s.path) for s in config.sealed} == {
        ("/db/password", B, "eu/checkout", ("db", "password")),
        ("/psp/key", A, "production/_payments", ("psp", "key")),
    }
    config = layered(tmp_path, Unit("production", "checkout"), {})
    assert {(s.token, str(s.document)) for s in config.sealed} == {
        (A, "production/checkout"), (A, "production/_payments"),
    }  # fmt: skip


def test_an_inherited_unit_needs_no_file_of_its_own(tmp_path: Path) -> None:
    write(tmp_path, {**FILES, "environments/production/search.yaml": "size: 1\n"})
    workspace = load(WorkTree(tmp_path))
    assert Unit("eu", "search") in units(workspace)
    config = layer(workspace, Unit("eu", "search"), no_keys)
    assert config.values == {"log": {"level": "warn"}, "size": 1}
    assert [document.id for document in documents_of(workspace, Unit("eu", "search"))] == [
        DocumentId("base", "_all"), DocumentId("production", "search"), DocumentId("eu", "_all"),
    ]  # fmt: skip


def test_a_layer_that_is_not_listed_is_not_there(tmp_path: Path) -> None:
    config = layered(
        tmp_path, Unit("production", "search"), {"environments/production/search.yaml": "a: 1\n"}
    )
    assert "psp" not in config.values


def test_sealed_values_in_keyed_lists_have_typed_places(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "environments/base/checkout.yaml": "old: 1\nhooks: [{name: a, url: x}, {name: b, url: y}]\n",
        "environments/production/checkout.yaml": f"old: null\nhooks:\n- {{name: b, token: '{A}'}}\n",
    }
    config = layered(tmp_path, Unit("production", "checkout"), files, keyed=True)
    assert config.merge_keys == {"/hooks": "name"}
    [sealed] = [sealed for sealed in config.sealed if "hooks" in sealed.pointer]
    assert sealed.pointer == "/hooks/1/token"
    assert sealed.path == ("hooks", Member("name", "b"), "token")
    assert sealed.document == DocumentId("production", "checkout")


@pytest.mark.parametrize("value", [f"['{A}']", f"[{{x: '{A}'}}]", f"[[['{A}']]]"])
def test_sealed_values_in_lists_without_a_key_are_refused(tmp_path: Path, value: str) -> None:
    text = f"old: null\nhooks:\n  list: {value}\n"
    [finding] = refused(tmp_path, {"environments/production/checkout.yaml": text}).findings
    assert finding.word == "sealed-in-list"
    assert finding.where is not None
    assert finding.where.line == 3
    assert finding.hint == ("sealpipe set production/checkout hooks.list --type array",)


def test_a_sealed_merge_key_is_refused(tmp_path: Path) -> None:
    text = f"old: null\nhooks: [{{name: '{A}'}}]\n"
    [finding] = refused(tmp_path, {"environments/production/checkout.yaml": text}, keyed=True).findings
    assert finding.word == "missing-merge-key"


def test_sealed_values_of_an_abstract_environment_are_refused(tmp_path: Path) -> None:
    [finding] = refused(tmp_path, {"environments/base/_all.yaml": f"log: {{token: '{A}'}}\n"}).findings
    assert finding.word == "sealed-in-abstract"
    assert str(finding.where) == "environments/base/_all.yaml:1:7"


def test_every_broken_rule_of_merging_is_told(tmp_path: Path) -> None:
    text = "db: 1\nnone: null\nlog: [1]\n"
    error = refused(tmp_path, {"environments/production/checkout.yaml": text})
    assert [finding.word for finding in error.findings] == ["kind-change", "deletes-nothing", "kind-change"]
    assert [finding.where.line for finding in error.findings if finding.where] == [1, 2, 3]
    assert "environments/base/checkout.yaml:1:1" in str(error.findings[0].why)


def test_what_only_claims_to_be_sealed_is_listed_too(tmp_path: Path) -> None:
    text = "old: null\nsops: 'ENC[AES256_GCM,data:x]'\ncut: ENC[NACL1\nno: xENC[\n"
    config = layered(
        tmp_path, Unit("production", "checkout"), {"environments/production/checkout.yaml": text}
    )
    assert {"/sops", "/cut"} <= {sealed.pointer for sealed in config.sealed}
    assert "/no" not in {sealed.pointer for sealed in config.sealed}


def test_sealed_strings_are_found_at_any_depth() -> None:
    tree = {"a": [{"b": A}, "x"], "c": B, "d": None, "e": 1}
    assert list(sealed_strings(tree)) == [(("a", 0, "b"), A), (("c",), B)]

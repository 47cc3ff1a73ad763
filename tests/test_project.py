"""sealpipe.yaml as a value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sealpipe.documents.origins import origins
from sealpipe.documents.read import read_yaml
from sealpipe.errors import Finding, InputError
from sealpipe.project import Project, TreeSpec, is_document_name, is_name, layer_ids, parse_project
from sealpipe.released import Unit

ID = "5b0c7a1e9f2d4c6688aa01d3e7f4b912"
HEAD = f"format: 1\nproject: {ID}\n"
SHOP = (
    HEAD
    + """\
environments:
  base: {}
  dev:
    publish_to: file:.sealpipe/store
  staging: {publish_to: "consul+https://consul.staging.internal:8501/config"}
  production:
    publish_to: etcd+https://etcd-1.internal:2379,etcd-2.internal:2379/config
    mirrors:
      - s3://shop-config-mirror/config?region=eu-west-1
    tree: {layout: keys, at: "consul+https://consul.internal:8501/legacy", services: [search]}
  production-eu:
    extends: production
    services: inherit
    publish_to: etcd+https://etcd-eu.internal:2379/config
services:
  checkout: {layers: [_payments, _edge], owners: ["@shop/payments"]}
  mailer: {renamed_from: notifier}
limits:
  removed_keys: 30%
  growth: 2x
"""
)


def parse(text: str) -> Project:
    return parse_project(read_yaml(text, file="sealpipe.yaml"), origins(text, file="sealpipe.yaml").key_where)


ONE = HEAD + "environments: {dev: {}}\n"
DEV = HEAD + "environments:\n  dev: "
ENV = HEAD + "environments:\n  "
AT = "environments.dev."


def findings_of(text: str) -> tuple[Finding, ...]:
    with pytest.raises(InputError) as caught:
        parse(text)
    return caught.value.findings


def test_the_shop() -> None:
    project = parse(SHOP)
    assert project.id == ID
    assert list(project.environments) == ["base", "dev", "staging", "production", "production-eu"]
    production = project.environments["production"]
    assert production.extends == "base"
    assert production.mirrors == ("s3://shop-config-mirror/config?region=eu-west-1",)
    assert production.tree == TreeSpec("keys", "consul+https://consul.internal:8501/legacy", ("search",))
    assert str(production.tree) == "keys at consul+https://consul.internal:8501/legacy of search"
    assert project.environments["production-eu"].inherit_services
    assert project.services["checkout"].layers == ("_payments", "_edge")
    assert project.services["checkout"].owners == ("@shop/payments",)
    assert project.services["mailer"].renamed_from == "notifier"
    assert project.limits.removed_keys == pytest.approx(0.3)
    assert project.limits.growth == pytest.approx(2.0)


def test_chains_and_layers() -> None:
    project = parse(SHOP)
    assert project.chain("production-eu") == ("base", "production", "production-eu")
    assert project.chain("base") == ("base",)
    assert project.abstract("base")
    assert not project.abstract("dev")
    assert layer_ids(project, Unit("production-eu", "checkout")) == tuple(
        (environment, name)
        for environment in ("base", "production", "production-eu")
        for name in ("_all", "_payments", "_edge", "checkout")
    )
    assert layer_ids(project, Unit("dev", "search")) == (
        ("base", "_all"), ("base", "search"), ("dev", "_all"), ("dev", "search"),
    )  # fmt: skip


def test_a_solo_project_is_four_lines() -> None:
    project = parse(DEV + "{publish_to: 'file:store'}\n")
    assert project.chain("dev") == ("dev",)
    assert project.limits.removed_keys == pytest.approx(0.3)
    assert dict(project.services) == {}


def test_extends_can_be_none() -> None:
    project = parse(HEAD + "environments:\n  base: {}\n  alone: {extends: null, publish_to: 'file:x'}\n")
    assert project.chain("alone") == ("alone",)


@pytest.mark.parametrize(
    ("text", "word", "place", "path"),
    [
        (HEAD + "environments:\n  dev:\n    publish_too: file:x\n", "unknown-key", "5:5", AT + "publish_too"),
        (HEAD + "environment:\n  dev: {}\n", "unknown-key", "3:1", "environment"),
        ("project: " + ID + "\nenvironments: {dev: {}}\n", "bad-format", "1:1", "format"),
        ("format: 2\nproject: " + ID + "\nenvironments: {dev: {}}\n", "bad-format", "1:1", "format"),
        ("format: true\nproject: " + ID + "\nenvironments: {dev: {}}\n", "bad-format", "1:1", "format"),
        ("format: 1\nproject: 123\nenvironments: {dev: {}}\n", "bad-project-id", "2:1", "project"),
        ("format: 1\nenvironments: {dev: {}}\n", "bad-project-id", "1:1", "project"),
        (HEAD.upper().replace("FORMAT", "format").replace("PROJECT", "project") + "environments: {dev: {}}\n",
         "bad-project-id", "2:1", "project"),
        (HEAD, "no-environment", "1:1", "environments"),
        (HEAD + "environments: [dev]\n", "wrong-type", "3:1", "environments"),
        (DEV + "x\n", "wrong-type", "4:3", "environments.dev"),
        (HEAD + "environments:\n  dev:\n", "wrong-type", "4:3", "environments.dev"),
        (HEAD + "environments:\n  Dev: {}\n", "bad-name", "4:3", "environments.Dev"),
        (HEAD + "environments:\n  _dev: {}\n", "bad-name", "4:3", "environments._dev"),
        (HEAD + "environments:\n  dev-: {}\n", "bad-name", "4:3", "environments.dev-"),
        (HEAD + "environments:\n  a.b: {}\n", "bad-name", "4:3", "/environments/a.b"),
        (HEAD + f"environments:\n  {'d' * 64}: {{}}\n", "bad-name", "4:3", f"environments.{'d' * 64}"),
        (DEV + "{extends: bse}\n  base: {}\n", "unknown-environment", "4:9", AT + "extends"),
        (DEV + "{extends: 1}\n", "wrong-type", "4:9", AT + "extends"),
        (DEV + "{services: all}\n", "not-allowed", "4:9", AT + "services"),
        (DEV + "{services: inherit}\n", "not-allowed", "4:9", AT + "services"),
        (DEV + "{mirrors: ['file:x']}\n", "not-allowed", "4:9", AT + "mirrors"),
        (DEV + "{publish_to: 'file:x', mirrors: 'file:y'}\n", "wrong-type", "4:31", AT + "mirrors"),
        (DEV + "{publish_to: 'file:x', mirrors: ['file:y', 'file:y']}\n",
         "duplicate-item", "4:31", AT + "mirrors"),
        (DEV + "{publish_to: store}\n", "bad-url", "4:9", AT + "publish_to"),
        (DEV + "{publish_to: 'file:a b'}\n", "bad-url", "4:9", AT + "publish_to"),
        (DEV + "{publish_to: 'consul://me:hunter2@c:1/x'}\n", "credentials-in-url", "4:9", AT + "publish_to"),
        (DEV + "{publish_to: 'file:x', tree: {}}\n", "missing-key", "4:31", AT + "tree"),
        (DEV + "{publish_to: 'file:x', tree: {at: 'file:y', layout: x}}\n",
         "not-allowed", "4:52", AT + "tree.layout"),
        (DEV + "{publish_to: 'file:x', tree: {at: 'file:y', all: true}}\n",
         "unknown-key", "4:52", AT + "tree.all"),
        (DEV + "{tree: {at: 'file:y'}}\n", "not-allowed", "4:9", AT + "tree"),
        (DEV + "{publish_to: 'file:x', tree: {at: 'file:x'}}\n", "tree-overlap", "4:38", AT + "tree.at"),
        (DEV + "{publish_to: 'file:x', tree: {at: 'file:x/y'}}\n", "tree-overlap", "4:38", AT + "tree.at"),
        (DEV + "{publish_to: 'file:x/y', tree: {at: 'file:x?a=b'}}\n", "tree-overlap", "4:40",
         AT + "tree.at"),
        (DEV + "{publish_to: 'file:x', mirrors: ['file:m'], tree: {at: 'file:m'}}\n", "tree-overlap",
         "4:59", AT + "tree.at"),
        (ONE + "services:\n  Checkout: {}\n", "bad-name", "5:3", "services.Checkout"),
        (ONE + "services:\n  checkout: {layers: [payments]}\n",
         "bad-name", "5:14", "services.checkout.layers"),
        (ONE + "services:\n  checkout: {layers: [_all]}\n", "bad-name", "5:14", "services.checkout.layers"),
        (ONE + "services:\n  checkout: {layers: _payments}\n",
         "wrong-type", "5:14", "services.checkout.layers"),
        (ONE + "services:\n  checkout: {owner: me}\n", "unknown-key", "5:14", "services.checkout.owner"),
        (ONE + "services:\n  checkout: {renamed_from: A}\n",
         "bad-name", "5:14", "services.checkout.renamed_from"),
        (ONE + "limits: {removed_keys: 300%}\n", "wrong-type", "4:10", "limits.removed_keys"),
        (ONE + "limits: {removed_keys: 30}\n", "wrong-type", "4:10", "limits.removed_keys"),
        (ONE + "limits: {growth: 0.5}\n", "wrong-type", "4:10", "limits.growth"),
        (ONE + "limits: {growth: true}\n", "wrong-type", "4:10", "limits.growth"),
        (ONE + "limits: {grow: 2x}\n", "unknown-key", "4:10", "limits.grow"),
    ],
)  # fmt: skip
def test_refusals(text: str, word: str, place: str, path: str) -> None:
    [finding] = findings_of(text)
    assert (finding.word, str(finding.where), finding.path) == (word, f"sealpipe.yaml:{place}", path)
    assert "hunter2" not in str(finding)


@pytest.mark.parametrize(
    ("chain", "circle"),
    [
        ({"a": "b", "b": "a"}, "a > b > a"),
        ({"a": "a"}, "a > a"),
        ({"a": "b", "b": "c", "c": "b"}, "b > c > b"),
    ],
)
def test_circles_are_found_once(chain: dict[str, str], circle: str) -> None:
    lines = "".join(f"  {name}: {{extends: {above}}}\n" for name, above in chain.items())
    [finding] = findings_of(HEAD + "environments:\n" + lines)
    assert finding.word == "extends-cycle"
    assert circle in finding.what


def test_base_that_extends_its_child_is_a_circle() -> None:
    [finding] = findings_of(HEAD + "environments:\n  base: {extends: dev}\n  dev: {}\n")
    assert finding.word == "extends-cycle"


def test_everything_wrong_is_told_at_once() -> None:
    found = findings_of("format: 2\nproject: x\nenvironments:\n  A: {}\n  b: {x: 1}\nlimits: {y: 1}\n")
    assert [finding.word for finding in found] == [
        "bad-format", "bad-project-id", "bad-name", "unknown-key", "unknown-key",
    ]  # fmt: skip


def test_a_near_miss_is_suggested() -> None:
    [finding] = findings_of(DEV + "{publish_too: 'file:x'}\n")
    assert finding.hint == ("did you mean `publish_to`?",)


@pytest.mark.parametrize("name", ["a", "a1", "production-eu", "a_b", "1", "a--b", "x" * 63])
def test_names(name: str) -> None:
    assert is_name(name)
    assert is_document_name(name)
    assert is_document_name("_" + name) == (len(name) <= 63)


@pytest.mark.parametrize(
    "name", ["", "-a", "a-", "_a", "a_", "A", "é", "a.b", "a/b", "a\n", " a", "x" * 64, 1, None]
)
def test_no_names(name: Any) -> None:
    assert not is_name(name)


def test_the_mockup_of_the_example_is_read(tmp_path: Path) -> None:
    assert parse("# comment\n" + SHOP).id == ID

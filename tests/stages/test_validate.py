"""Validation of whole repositories: a folder for each refusal with the exact text, and the rules behind it.

A case is a small repository in `tests/cases/validate/<name>` with `expected.txt`. Its sealed values have
document keys of 31 equal bytes and 64 (dev/checkout 1, dev/_all 2, production/checkout 3, production/_all
4; 9 is an older key of both checkouts), made by `crypto.sealing.seal_with`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sealpipe.cli.render import github, json_, junit, markdown, sarif, text
from sealpipe.errors import Finding, Where
from sealpipe.flows.look import Checked
from sealpipe.looking.verdicts import verdict_of
from sealpipe.model import Validation, Workspace
from sealpipe.released import Unit
from sealpipe.stages.load import load, units
from sealpipe.stages.validate import validate
from sealpipe.trees import WorkTree

CASES = Path(__file__).parent.parent / "cases" / "validate"
NAMES = sorted(folder.name for folder in CASES.iterdir() if folder.is_dir())
CANARIES = ("hunter2", "48151623")

PROJECT = """\
format: 1
project: 5b0c7a1e9f2d4c6688aa01d3e7f4b912
environments:
  base: {}
  dev: {publish_to: "file:.sealpipe/dev"}
  production: {publish_to: "file:.sealpipe/production"}
  production-eu: {extends: production, services: inherit, publish_to: "file:.sealpipe/eu"}
"""
WITH_LAYER = PROJECT + "services:\n  cart: {layers: [_pay]}\n"


def closed(*required: str, **properties: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**made, "required": list(required)} if required else made


def repository(
    root: Path, files: dict[str, str], project: str = PROJECT, **schemas: dict[str, Any]
) -> Workspace:
    texts = {f"schemas/{name}.schema.json": json.dumps(schema, indent=2) for name, schema in schemas.items()}
    texts |= {f"environments/{name}.yaml": body for name, body in files.items()}
    for file, body in {"sealpipe.yaml": project, **texts}.items():
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(body)
    return load(WorkTree(root))


def said(validation: Validation) -> list[tuple[str, str, str, int]]:
    return [
        (finding.word, finding.where.file if finding.where else "", finding.path, finding.reach)
        for finding in validation.findings
    ]


# ---- the case folders


def test_there_are_cases() -> None:
    assert len(NAMES) >= 60


@pytest.mark.parametrize("name", NAMES)
def test_case(name: str) -> None:
    done = validate(load(WorkTree(CASES / name)))
    valid = ", ".join(map(str, done.configs)) or "none"
    lines = [*text.findings(done.findings), "", f"valid: {valid}"]
    assert "\n".join(lines) + "\n" == (CASES / name / "expected.txt").read_text()


@pytest.mark.parametrize("name", NAMES)
def test_no_format_of_any_case_shows_a_value_that_may_be_secret(name: str) -> None:
    workspace = load(WorkTree(CASES / name))
    checked = verdict_of(Checked(workspace, validate(workspace), units(workspace), ()))
    shown = "\n".join(
        [
            *text.validation(checked),
            *json_.validation(checked),
            *github.validation(checked),
            *markdown.validation(checked),
            *sarif.validation(checked),
            *junit.validation(checked),
            repr(checked.findings),
        ]
    )
    documents = "".join(document.text for document in workspace.documents.values())
    assert [canary for canary in CANARIES if canary in shown] == []
    tokens = [word for word in documents.split() if word.startswith("ENC[")]
    assert [token for token in tokens if token in shown] == []


# ---- who is told what


def test_a_fault_of_a_shared_layer_is_said_once_with_its_reach(tmp_path: Path) -> None:
    workspace = repository(
        tmp_path,
        {"base/_all": "log: {levl: x}\n", "dev/cart": "{}\n", "dev/shop": "{}\n", "production/shop": "{}\n"},
        _all=closed(log=closed(level={"type": "string"})),
        cart=closed(),
        shop=closed(),
    )
    done = validate(workspace)
    assert said(done) == [("unknown-key", "environments/base/_all.yaml", "log.levl", 4)]
    assert done.configs == {}
    assert (done.documents, done.environments) == (4, 3)


def test_what_one_unit_lacks_does_not_fail_the_others(tmp_path: Path) -> None:
    workspace = repository(
        tmp_path,
        {"base/shop": "db: {host: a}\n", "dev/shop": "db: {port: 1}\n", "production/shop": "{}\n"},
        shop=closed(db=closed("port", host={"type": "string"}, port={"type": "integer"})),
    )
    done = validate(workspace)
    assert said(done) == [("missing-key", "environments/base/shop.yaml", "db.port", 2)]
    assert list(done.configs) == [Unit("dev", "shop")]
    assert done.findings[0].hint == ("sealpipe set production/shop db.port",)


def test_an_inherited_unit_is_held_against_its_schema_too(tmp_path: Path) -> None:
    workspace = repository(
        tmp_path,
        {"production/shop": "port: 1\n", "production-eu/shop": "port: x\n", "production/cart": "{}\n"},
        shop=closed(port={"type": "integer"}),
        cart=closed(),
    )
    done = validate(workspace)
    assert said(done) == [("wrong-type", "environments/production-eu/shop.yaml", "port", 0)]
    assert Unit("production-eu", "cart") in done.configs
    assert Unit("production-eu", "shop") not in done.configs


def test_a_value_that_a_higher_layer_replaces_is_still_wrong_where_it_stands(tmp_path: Path) -> None:
    workspace = repository(
        tmp_path, {"base/shop": "port: 0\n", "dev/shop": "port: 1\n"}, shop=closed(port={"minimum": 1})
    )
    done = validate(workspace)
    assert said(done) == [("out-of-range", "environments/base/shop.yaml", "port", 0)]
    assert done.configs == {}


def test_only_what_is_asked_for_is_checked(tmp_path: Path) -> None:
    workspace = repository(
        tmp_path,
        {"dev/shop": "port: 1\n", "dev/cart": "a: 1\n", "production/shop": "port: x\n"},
        shop=closed(port={"type": "integer"}),
        cart={"type": "object"},
        _all={"type": "strin"},
    )
    done = validate(workspace, [Unit("dev", "cart")])
    assert [word for word, *_ in said(done)] == ["bad-schema", "open-object"]
    done = validate(workspace, [Unit("production", "shop")])
    assert [word for word, *_ in said(done)] == ["bad-schema"]
    assert done.configs == {}


@pytest.mark.parametrize("broken", ["base/_all", "base/shop", "dev/_all"])
def test_a_unit_with_an_unreadable_layer_is_not_valid_without_it(tmp_path: Path, broken: str) -> None:
    files = {"base/_all": "{}\n", "base/shop": "{}\n", "dev/_all": "{}\n", "dev/shop": "{}\n"}
    workspace = repository(tmp_path, {**files, broken: "a: [\n"}, shop=closed(), _all=closed())
    assert Unit("dev", "shop") in units(workspace)
    done = validate(workspace)
    assert done.configs == {}
    assert not done.ok
    assert validate(workspace, [Unit("dev", "shop")]).configs == {}


def test_a_broken_schema_of_a_layer_stops_every_service_that_has_it(tmp_path: Path) -> None:
    workspace = repository(
        tmp_path,
        {"dev/_pay": "a: 1\n", "dev/shop": "{}\n", "dev/cart": "{}\n"},
        WITH_LAYER,
        shop=closed(),
        cart=closed(),
        _pay={"type": "object", "properties": {"a": {"$ref": "https://example.org/a"}}},
    )
    done = validate(workspace)
    assert [word for word, *_ in said(done)] == ["bad-reference"]
    assert list(done.configs) == [Unit("dev", "shop")]


def test_a_layer_with_a_warning_only_is_valid(tmp_path: Path) -> None:
    workspace = repository(tmp_path, {"dev/shop": "{}\n", "dev/_pay": "{}\n"}, shop=closed(), spare=closed())
    done = validate(workspace)
    assert done.ok
    assert {word for word, *_ in said(done)} >= {"unused-schema"}
    assert list(done.configs) == [Unit("dev", "shop")]


def test_what_the_next_stages_get(tmp_path: Path) -> None:
    lock = {"type": "integer", "x-locked": True}
    workspace = repository(tmp_path, {"dev/shop": "port: 1\n"}, shop=closed(port=lock, other=lock))
    (config,) = validate(workspace).configs.values()
    assert config.unit == Unit("dev", "shop")
    assert config.locked == ("/other", "/port")
    assert config.secret_pointers == ()
    assert len(config.schema_digest) == 64


def test_sealed_values_without_a_readable_keyring_are_not_valid(tmp_path: Path) -> None:
    case = CASES / "all-good"
    for file in case.rglob("*"):
        if file.is_file():
            target = tmp_path / file.relative_to(case)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    (tmp_path / "trust/dev.keyring.yaml").write_text("format: 1\n")
    done = validate(load(WorkTree(tmp_path)))
    assert list(done.configs) == [Unit("production", "checkout")]


def test_findings_come_in_the_order_of_files_and_lines(tmp_path: Path) -> None:
    workspace = repository(
        tmp_path, {"dev/shop": "c: 1\nb: 1\n", "base/shop": "z: 1\n"}, shop=closed(a={"type": "integer"})
    )
    places = [finding.where for finding in validate(workspace).findings]
    assert places == sorted(place for place in places if place)
    assert places[0] == Where("environments/base/shop.yaml", 1, 1)


def test_a_token_at_a_secret_of_one_branch_and_plain_of_another_is_taken(tmp_path: Path) -> None:
    # Both branches name the key; one calls it secret, so it is sealed in either.
    choice = {
        "oneOf": [
            closed("k", k={"const": 1}, p={"type": "string", "writeOnly": True}),
            closed("k", k={"const": 2}, p={"type": "string"}),
        ]
    }
    workspace = repository(tmp_path, {"dev/shop": "u: {k: 2, p: hunter2}\n"}, shop=closed(u=choice))
    assert [word for word, *_ in said(validate(workspace))] == ["plaintext-secret"]


def test_a_large_project_stays_fast(tmp_path: Path) -> None:
    import time

    files = {f"dev/s{n}": f"port: {n + 1}\nhosts: [a, b]\n" for n in range(400)}
    schema = closed(port={"type": "integer"}, hosts={"type": "array", "items": {"type": "string"}})
    workspace = repository(tmp_path, files, **{f"s{n}": schema for n in range(400)})
    started = time.process_time()
    assert len(validate(workspace).configs) == 400
    assert time.process_time() - started < 8


def test_no_finding_is_made_of_a_path_that_a_merge_key_names(tmp_path: Path) -> None:
    items = closed("name", name={"type": "string"}, port={"type": "integer"})
    workspace = repository(
        tmp_path,
        {
            "base/shop": "l:\n- {name: a, port: 1}\n- {name: b, port: 2}\n",
            "dev/shop": "l:\n- {name: b, port: x}\n",
        },
        shop=closed(l={"type": "array", "x-merge-key": "name", "items": items}),
    )
    (finding,) = validate(workspace).findings
    assert isinstance(finding, Finding)
    assert (finding.word, str(finding.where)) == ("wrong-type", "environments/dev/shop.yaml:2:19")


def test_a_service_that_calls_plain_what_its_layer_seals_is_told(tmp_path: Path) -> None:
    case = CASES / "all-good"
    for file in case.rglob("*.yaml"):
        target = tmp_path / file.relative_to(case)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())
    token = (case / "environments/dev/checkout.yaml").read_text().split("password: ")[1].strip()
    secret, plain = {"type": "string", "writeOnly": True}, {"type": "string"}
    for name, rule in (("_all", secret), ("checkout", plain)):
        schema = closed(k=rule) if name == "_all" else closed(k=rule, db={}, http={})
        (tmp_path / f"schemas/{name}.schema.json").parent.mkdir(exist_ok=True)
        (tmp_path / f"schemas/{name}.schema.json").write_text(json.dumps(schema))
    (tmp_path / "environments/dev/checkout.yaml").write_text("{}\n")
    (tmp_path / "environments/base/_all.yaml").write_text("{}\n")
    (tmp_path / "environments/dev/_all.yaml").write_text(f"k: {token}\n")
    done = validate(load(WorkTree(tmp_path)))
    assert [word for word, *_ in said(done)] == ["sealed-not-secret"]
    assert Unit("dev", "checkout") not in done.configs

"""Which lines of a file may be shown: none with a value that is, or may be, a secret."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sealpipe.checks.locate import Locator, deciding, located
from sealpipe.cli.render import github, text
from sealpipe.model import Document, DocumentId, SchemaFile
from sealpipe.schemas.compile import effective
from sealpipe.schemas.telling.explain import explain
from sealpipe.stages.load import load
from sealpipe.stages.validate import validate
from sealpipe.trees import WorkTree


def closed(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


SCHEMA = closed(
    http=closed(port={"type": "integer"}, name={"type": "string"}),
    db=closed(password={"type": "string", "writeOnly": True}, pool={"type": "integer"}),
    free={"type": "object", "additionalProperties": True, "maxProperties": 0},
)


def sources(body: str, values: dict[str, Any]) -> dict[str, str]:
    schema = effective({"s": SchemaFile("s", "schemas/s.schema.json", "", SCHEMA)}, "s", ())
    document = Document(DocumentId("dev", "s"), "environments/dev/s.yaml", body, values)
    found = {}
    for problem in schema.problems(values):
        for cause in explain(problem, schema, values):
            made = located(cause, document, path=cause.path, schema=schema, locator=Locator())
            found[made.path] = made.source
    return found


@pytest.mark.parametrize(
    ("text", "values", "path", "source"),
    [
        ("http:\n  port: abc\n", {"http": {"port": "abc"}}, "http.port", "http:\n  port: abc"),
        ("http:\n  port: abc # was 8\n", {"http": {"port": "abc"}}, "http.port", "http:\n  port: abc"),
        ("http:\n  prt: 8080\n", {"http": {"prt": 8080}}, "http.prt", "http:\n  prt: 8080"),
        # The value of an unknown key is shown only where it is no text and nothing hints at a secret.
        ("http:\n  prt: hunter2\n", {"http": {"prt": "hunter2"}}, "http.prt", "http:\n  prt: …"),
        ("http:\n  pin: 4711\n", {"http": {"pin": 4711}}, "http.pin", "http:\n  pin: …"),
        ("http:\n  api_key: 4711\n", {"http": {"api_key": 4711}}, "http.api_key", "http:\n  api_key: …"),
        ("db:\n  pol: 4711\n", {"db": {"pol": 4711}}, "db.pol", "db:\n  pol: …"),
        # A secret, or something the schema does not know, on the same line.
        ("db: {password: hunter2, pool: x}\n", {"db": {"password": "h", "pool": "x"}}, "db.pool", ""),
        ("db: {pool: x, password: hunter2}\n", {"db": {"pool": "x", "password": "h"}}, "db.pool", ""),
        ("http: {port: x, zz: hunter2}\n", {"http": {"port": "x", "zz": "h"}}, "http.port", ""),
        ("http: {yy: 1, zz: hunter2}\n", {"http": {"yy": 1, "zz": "h"}}, "http.yy", ""),
        # Maps and lists are never shown.
        ("http:\n  port: {a: hunter2}\n", {"http": {"port": {"a": "hunter2"}}}, "http.port", ""),
        ("free:\n  a: hunter2\n", {"free": {"a": "hunter2"}}, "free", ""),
        # A text over several lines shows its first line only.
        ("http:\n  port: |\n    hunter2\n", {"http": {"port": "hunter2\n"}}, "http.port", "http:\n  port: |"),
    ],
)
def test_lines_that_are_shown(text: str, values: dict[str, Any], path: str, source: str) -> None:
    assert sources(text, values)[path] == source


def test_the_highest_layer_that_says_something_decides() -> None:
    low = Document(
        DocumentId("base", "s"), "low", "", {"a": {"b": 1}, "l": [1, 2], "k": [{"n": "x", "v": 1}]}
    )
    high = Document(
        DocumentId("dev", "s"), "high", "", {"a": {"c": 1}, "k": [{"n": "y"}, {"n": "x", "w": 1}]}
    )
    values = {"a": {"b": 1, "c": 1}, "l": [1, 2], "k": [{"n": "x", "v": 1, "w": 1}, {"n": "y"}]}
    keys = {"/k": "n"}

    def of(*path: str | int) -> tuple[str, tuple[str | int, ...]]:
        document, local = deciding((low, high), values, keys, path)
        return document.file, local

    assert of("a", "b") == ("low", ("a", "b"))
    assert of("a", "c") == ("high", ("a", "c"))
    assert of("l", 1) == ("low", ("l", 1))
    assert of("k", 0, "v") == ("low", ("k", 0, "v"))
    assert of("k", 0, "w") == ("high", ("k", 1, "w"))
    assert of("a", "gone") == ("high", ("a",))
    assert of("gone") == ("high", ())


# ---- a secret in every way that YAML can write it, beside faults of every kind

SECRETS = [
    "hunter2", "'hunter2'", '"hunter2"', '"hun\\x74er2"', "|\n      hunter2", ">-\n      hunter2",
    "hunter2\n      hunter2", "{v: hunter2}", "[hunter2]", "\n      - hunter2", "\n      v: hunter2",
    "hunter2 # hunter2", '"a\n\n      hunter2"',
]  # fmt: skip
FAULTS = [
    "pool: x", "pool: 'x' # hunter2", "pol: 1", "zz: {a: [hunter2]}", "zz: hunter2", "{}: 1",
    "pool: [1]", "pool: 1",
]  # fmt: skip
PROJECT = """\
format: 1
project: 5b0c7a1e9f2d4c6688aa01d3e7f4b912
environments: {dev: {publish_to: "file:x"}}
"""


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("key", ["password", "pasword", "PASSWORD", "pw"])
@pytest.mark.parametrize("flow", [False, True])
def test_no_way_of_writing_a_secret_shows_it(secret: str, key: str, flow: bool, tmp_path: Path) -> None:
    schema = {"type": "object", "properties": SCHEMA["properties"], "additionalProperties": False}
    for number, fault in enumerate(FAULTS):
        if flow:
            body = f"db: {{{key}: {secret.strip()}, {fault}}}\nhttp: {{port: x, {key}: {secret.strip()}}}\n"
        else:
            body = f"db:\n    {fault}\n    {key}: {secret}\nhttp:\n    port: x\n    {key}: {secret}\n"
            body += f"{key}: {secret}\n"
        root = tmp_path / str(number)
        (root / "environments/dev").mkdir(parents=True)
        (root / "schemas").mkdir()
        (root / "sealpipe.yaml").write_text(PROJECT)
        (root / "environments/dev/s.yaml").write_text(body)
        (root / "schemas/s.schema.json").write_text(json.dumps(schema))
        done = validate(load(WorkTree(root)))
        lines = [*text.findings(done.findings), *github.findings(done.findings), repr(done.findings)]
        assert not done.ok
        assert [line for line in lines if "hunter2" in line or "hun\\" in line] == [], body

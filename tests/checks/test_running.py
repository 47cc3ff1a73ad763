"""A release of the code that is still in service must not be handed what it would refuse."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cli.programs import Here, copy, make

OLD = {
    "type": "object",
    "additionalProperties": False,
    "required": ["db"],
    "properties": {
        "db": {
            "type": "object",
            "additionalProperties": False,
            "required": ["host", "password"],
            "properties": {
                "host": {"type": "string"},
                "password": {"type": "string", "writeOnly": True},
                "pool_max": {"type": "integer", "maximum": 20},
            },
        }
    },
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Here:
    return make(tmp_path_factory.mktemp("running"))


@pytest.fixture
def here(made: Here, tmp_path: Path) -> Iterator[Here]:
    return copy(made, tmp_path)


def running(here: Here, schema: Any, release: str = "v1.4") -> Path:
    file = here.root / f"schemas/running/checkout/{release}.schema.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(schema if isinstance(schema, str) else json.dumps(schema))
    return file


def test_what_it_takes_is_published(here: Here) -> None:
    running(here, OLD)
    here.sealpipe("validate")
    here.sealpipe("plan", "dev")


def test_what_it_refuses_is_neither_planned_nor_published(here: Here) -> None:
    file = running(here, OLD)
    here.sealpipe("set", "dev/checkout", "db.pool_max", "30")
    for command in (("validate",), ("plan", "dev"), ("publish", "dev")):
        done = here.sealpipe(*command, code=4)
        said = done.stdout + done.stderr
        assert "error[running-release]" in said
        assert "v1.4 of checkout is in service and would refuse this" in said
        assert "git rm schemas/running/checkout/v1.4.schema.json" in said
    file.unlink()
    here.sealpipe("publish", "dev")


def test_an_extra_key_is_nothing_to_it(here: Here) -> None:
    narrow = json.loads(json.dumps(OLD))
    del narrow["properties"]["db"]["properties"]["pool_max"]
    running(here, narrow)
    here.sealpipe("validate")


def test_a_secret_that_it_takes_in_plain_or_the_other_way_round(here: Here) -> None:
    other = json.loads(json.dumps(OLD))
    other["properties"]["db"]["properties"]["host"]["writeOnly"] = True
    running(here, other)
    done = here.sealpipe("validate", code=4)
    assert "takes it as a secret" in done.stdout + done.stderr


def test_every_release_is_held_against(here: Here) -> None:
    running(here, OLD, "v1.4")
    strict = json.loads(json.dumps(OLD))
    strict["properties"]["db"]["properties"]["pool_max"]["maximum"] = 5
    running(here, strict, "v1.3")
    done = here.sealpipe("validate", code=4)
    assert "v1.3 of checkout" in done.stdout + done.stderr
    assert "v1.4 of checkout" not in done.stdout + done.stderr


@pytest.mark.parametrize("text", ["{", '{"type": 7}', "[]"])
def test_a_file_that_is_no_schema_is_said(here: Here, text: str) -> None:
    running(here, text)
    done = here.sealpipe("validate", code=4)
    assert "schemas/running/checkout/v1.4.schema.json" in done.stdout + done.stderr


def test_a_kept_verdict_knows_of_them(here: Here) -> None:
    here.sealpipe("set", "dev/checkout", "db.pool_max", "30")
    here.sealpipe("validate")
    here.sealpipe("validate")
    running(here, OLD)
    here.sealpipe("validate", code=4)

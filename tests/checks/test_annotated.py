"""`x-environment`, `deprecated`, `x-replaced-by` and `x-removed-after`, in a real repository."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cli.programs import SECRET, Here, copy, make

from sealpipe.checks.annotated import ageing
from sealpipe.stages.load import load, units
from sealpipe.trees import WorkTree


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Here:
    return make(tmp_path_factory.mktemp("annotated"))


@pytest.fixture
def here(made: Here, tmp_path: Path) -> Iterator[Here]:
    return copy(made, tmp_path)


def mark(here: Here, setting: str, **keywords: Any) -> None:
    """In the schema, on one setting of `db`, which is described where it is new."""
    file = here.root / "schemas/checkout.schema.json"
    schema = json.loads(file.read_text())
    names = schema["properties"]["db"]["properties"]
    names.setdefault(setting, {"type": "integer"}).update(keywords)
    file.write_text(json.dumps(schema, indent=2))


# ---- x-environment


@pytest.fixture
def staging(here: Here) -> Here:
    here.sealpipe(
        "add", "environment", "staging", "--extends", "dev", "--publish-to", "file:.sealpipe/s", "-q"
    )
    file = here.root / "environments/staging/checkout.yaml"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("{}\n")
    return here


def test_what_each_environment_sets_itself_is_not_inherited(staging: Here) -> None:
    staging.sealpipe("validate")
    mark(staging, "host", **{"x-environment": True})
    done = staging.sealpipe("validate", code=4)
    said = done.stdout + done.stderr
    assert "error[inherited-value]: environments/dev/checkout.yaml:" in said
    assert "staging/checkout takes it from dev, and schemas/checkout.schema.json says" in said
    assert "sealpipe set staging/checkout db.host" in said
    staging.sealpipe("plan", "staging", code=4)
    staging.sealpipe("validate", "dev")
    staging.sealpipe("set", "staging/checkout", "db.host", "staging.internal")
    staging.sealpipe("validate")


def test_a_whole_map_of_an_environment(staging: Here) -> None:
    file = staging.root / "schemas/checkout.schema.json"
    schema = json.loads(file.read_text())
    schema["properties"]["db"]["x-environment"] = True
    file.write_text(json.dumps(schema))
    staging.sealpipe("set", "staging/checkout", "db.host", "staging.internal")
    done = staging.sealpipe("validate", code=4)
    said = done.stdout + done.stderr
    assert "db.password" in said
    assert "db.host" not in said
    assert SECRET not in said


# ---- what a schema wants to be rid of


def test_a_deprecated_setting_is_a_warning_with_the_command(here: Here) -> None:
    here.sealpipe("set", "dev/checkout", "db.pool_max", "7")
    mark(here, "pool_max", deprecated=True)
    done = here.sealpipe("validate")
    said = done.stdout + done.stderr
    assert "warning[deprecated-setting]: environments/dev/checkout.yaml:" in said
    assert "sealpipe unset dev/checkout db.pool_max" in said
    here.sealpipe("plan", "dev")

    mark(here, "size", type="integer")
    mark(here, "pool_max", **{"x-replaced-by": "db.size", "x-removed-after": "9999-12-31"})
    done = here.sealpipe("validate")
    said = done.stdout + done.stderr
    assert "it goes after 9999-12-31" in said
    assert "sealpipe mv dev/checkout db.pool_max db.size" in said
    here.sealpipe("mv", "dev/checkout", "db.pool_max", "db.size")
    assert "deprecated" not in here.sealpipe("validate").stdout


def test_after_its_day_it_is_an_error_of_validate_alone(here: Here) -> None:
    here.sealpipe("set", "dev/checkout", "db.pool_max", "7")
    mark(here, "pool_max", **{"x-removed-after": "2020-02-29"})
    done = here.sealpipe("validate", code=4)
    assert "error[removed-setting]" in done.stdout + done.stderr
    assert "was to be gone after 2020-02-29" in done.stdout + done.stderr
    here.sealpipe("plan", "dev")
    here.sealpipe("publish", "dev", "--yes")


@pytest.mark.parametrize(
    ("date", "word"),
    [
        ("2026-11-29", "deprecated-setting"),
        ("2026-11-30", "deprecated-setting"),
        ("2026-12-01", "removed-setting"),
    ],
)
def test_the_day_itself_still_counts(here: Here, date: str, word: str) -> None:
    here.sealpipe("set", "dev/checkout", "db.pool_max", "7")
    mark(here, "pool_max", **{"x-removed-after": "2026-11-30"})
    workspace = load(WorkTree(str(here.root)))
    (finding,) = ageing(workspace, units(workspace), date=date)
    assert (finding.word, finding.path) == (word, "db.pool_max")


def test_a_layer_that_deletes_it_and_one_that_lacks_it_say_nothing(here: Here) -> None:
    here.sealpipe("set", "dev/checkout", "db.pool_max", "7")
    mark(here, "pool_max", type=["integer", "null"], deprecated=False)
    assert "deprecated-setting" not in here.sealpipe("validate").stdout
    mark(here, "timeout", deprecated=True)
    assert "deprecated-setting" not in here.sealpipe("validate").stdout


def test_a_deprecated_secret_shows_its_path_only(here: Here) -> None:
    mark(here, "password", deprecated=True)
    done = here.sealpipe("validate")
    assert "warning[deprecated-setting]" in done.stdout + done.stderr
    assert "db.password" in done.stdout + done.stderr
    assert SECRET not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("keywords", "word", "said"),
    [
        ({"x-removed-after": "soon"}, "bad-schema", "must be a date such as"),
        ({"x-removed-after": "20270131"}, "bad-schema", "must be a date such as"),
        ({"x-removed-after": 2027}, "bad-schema", "must be a date such as"),
        ({"x-replaced-by": 7}, "bad-schema", "must be the path"),
        ({"x-replaced-by": "db.nothing"}, "unknown-replacement", "does not describe"),
        ({"x-replaced-by": "db..x"}, "unknown-replacement", "does not describe"),
        ({"x-environment": "yes"}, "bad-schema", "must be true or false"),
    ],
)
def test_what_these_keywords_may_have(here: Here, keywords: dict[str, Any], word: str, said: str) -> None:
    mark(here, "host", **keywords)
    done = here.sealpipe("validate", code=4)
    assert f"error[{word}]: schemas/checkout.schema.json:" in done.stdout + done.stderr
    assert said in done.stdout + done.stderr

"""`sealpipe schema` and `sealpipe check` on a real repository, with classes in another process."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.programs import SECRET, Here, copy, make

CLASS = """
from pydantic import BaseModel, SecretStr
from sealpipe import PublishedConfigDict, PublishedSettings, load
class Db(BaseModel):
    host: str
    password: SecretStr
    pool_max: int = 10
class Checkout(PublishedSettings):
    model_config = PublishedConfigDict(service="checkout")
    db: Db
class Stricter(Checkout):
    region: str
class Nameless(PublishedSettings):
    db: Db
class Shown(PublishedSettings):
    model_config = PublishedConfigDict(service="checkout")
    db: dict
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Here:
    return make(tmp_path_factory.mktemp("schema"))


@pytest.fixture
def here(made: Here, tmp_path: Path) -> Iterator[Here]:
    found = copy(made, tmp_path)
    (found.root / "shop").mkdir()
    (found.root / "shop/settings.py").write_text(CLASS)
    yield found
    assert not list(found.memory.iterdir())


def commit(here: Here) -> None:
    for words in (
        ["add", "-A"],
        ["-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-qm", "x"],
    ):
        subprocess.run(["git", *words], cwd=here.root, check=True, capture_output=True)


# ---- check


def test_a_class_that_starts(here: Here) -> None:
    done = here.sealpipe("check", "shop.settings:Checkout")
    assert "dev/checkout" in done.stdout
    assert "secrets made up   db.password" in done.stdout
    assert done.stdout.rstrip().endswith("would start")
    assert SECRET not in done.stdout + done.stderr


def test_a_class_that_does_not(here: Here) -> None:
    done = here.sealpipe("check", "shop.settings:Stricter", code=4)
    assert "error[unfit-release]" in done.stdout
    assert "region" in done.stdout
    assert "would not start" in done.stdout


def test_a_secret_that_lands_in_plain(here: Here) -> None:
    done = here.sealpipe("check", "shop.settings:Shown", "dev", "--format", "json", code=4)
    found = json.loads(done.stdout)
    assert (found["schema_version"], found["starts"]) == (1, False)
    (row,) = found["units"]
    assert (row["unit"], row["starts"], row["word"]) == ("dev/checkout", False, "sealed-to-plain")
    assert row["what"].startswith("dev/checkout as the files have it does not fit Shown")


def test_no_key_is_needed(here: Here) -> None:
    (here.home / ".config/sealpipe/key.txt").unlink()
    here.sealpipe("check", "shop.settings:Checkout", "--all-envs")


def test_a_service_that_no_class_names(here: Here) -> None:
    done = here.sealpipe("check", "shop.settings:Nameless", code=2)
    assert "--service" in done.stderr
    here.sealpipe("check", "shop.settings:Nameless", "--service", "checkout")


def test_a_module_that_loads_when_imported(here: Here) -> None:
    (here.root / "shop/eager.py").write_text(CLASS + "settings = load(Checkout)\n")
    here.sealpipe("check", "shop.eager:Checkout", "--service", "checkout")


def test_files_that_are_not_valid(here: Here) -> None:
    file = here.root / "environments/dev/checkout.yaml"
    file.write_text(file.read_text() + "nonsense: 1\n")
    done = here.sealpipe("check", "shop.settings:Checkout", "dev", code=4)
    assert "error[invalid]" in done.stdout


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("shop.nothing:X", "no module shop.nothing"),
        ("shop.settings:Nothing", "no such settings class"),
        ("shop.settings", "module:Class"),
    ],
)
def test_what_cannot_be_imported(here: Here, model: str, said: str) -> None:
    assert said in here.sealpipe("check", model, code=2).stderr


def test_an_import_that_fails_shows_its_kind_only(here: Here) -> None:
    (here.root / "shop/broken.py").write_text("raise ValueError('hunter2')\n")
    done = here.sealpipe("check", "shop.broken:X", code=2)
    assert "raised ValueError" in done.stderr
    assert "hunter2" not in done.stderr


def test_the_code_lives_elsewhere(here: Here, tmp_path: Path) -> None:
    code = tmp_path / "code"
    code.mkdir()
    (code / "mine.py").write_text(CLASS)
    elsewhere = Here(code, here.home)
    elsewhere.sealpipe("check", "mine:Checkout", "-C", str(here.root))
    elsewhere.sealpipe("-C", str(here.root), "check", "mine:Checkout")


# ---- schema


def test_infer_fits_and_marks_secrets(here: Here) -> None:
    found = json.loads(here.sealpipe("schema", "infer", "checkout").stdout)
    assert found["properties"]["db"]["properties"]["password"] == {"type": "string", "writeOnly": True}
    (here.root / "schemas/checkout.schema.json").write_text(json.dumps(found))
    here.sealpipe("validate")


def test_export_and_check(here: Here) -> None:
    file = here.root / "schemas/checkout.schema.json"
    file.write_text(here.sealpipe("schema", "export", "shop.settings:Checkout").stdout)
    here.sealpipe("schema", "check", "checkout", "shop.settings:Checkout")
    done = here.sealpipe("schema", "check", "checkout", "shop.settings:Stricter", code=3)
    assert "+ /properties/region  {" in done.stdout
    # What `set` and `infer` write has no `$defs`, and says the same.
    file.write_text(here.sealpipe("schema", "infer", "checkout").stdout)
    done = here.sealpipe("schema", "check", "checkout", "shop.settings:Checkout", code=3)
    _, only = done.stdout.splitlines()
    assert only.startswith("~ /properties/db/required  ")  # the class has a default of pool_max
    here.sealpipe("schema", "check", "nothing", "shop.settings:Checkout", code=2)


def test_unions_that_nothing_tells_apart(here: Here) -> None:
    (here.root / "shop/unions.py").write_text(
        "from typing import Annotated, Literal\n"
        "from pydantic import BaseModel, Field\n"
        "class P(BaseModel):\n    kind: Literal['p'] = 'p'\n    a: int = 1\n"
        "class Q(BaseModel):\n    kind: Literal['q']\n    b: int = 2\n"
        "class R(BaseModel):\n    kind: Literal['r']\n    b: int = 2\n"
        "class Open(BaseModel):\n    it: P | Q\n"
        "class Told(BaseModel):\n    it: Annotated[P | Q, Field(discriminator='kind')]\n    two: Q | R\n"
    )
    for name, code, said in (("Open", 3, "? /properties/it/anyOf  nothing tells"), ("Told", 0, "")):
        text = here.sealpipe("schema", "export", f"shop.unions:{name}").stdout
        (here.root / "schemas/checkout.schema.json").write_text(text)
        done = here.sealpipe("schema", "check", "checkout", f"shop.unions:{name}", code=code)
        assert said in done.stdout
        assert "?" in done.stdout or not code


def test_compat(here: Here) -> None:
    file = here.root / "schemas/checkout.schema.json"
    commit(here)
    here.sealpipe("schema", "compat", "checkout")
    schema = json.loads(file.read_text())
    schema["properties"]["db"]["properties"]["pool_max"] = {"type": "integer", "maximum": 100}
    file.write_text(json.dumps(schema))
    done = here.sealpipe("schema", "compat", "checkout", code=3)
    assert "breaking" in done.stdout
    commit(here)
    schema["properties"]["db"]["properties"]["pool_max"]["maximum"] = 5
    file.write_text(json.dumps(schema))
    done = here.sealpipe("schema", "compat", "checkout", "--format", "json", code=3)
    found = json.loads(done.stdout)
    assert (found["schema_version"], found["verdict"]) == (1, "breaking")
    assert found["refused"][0] == {"unit": "dev/checkout", "paths": ["db.pool_max"]}
    schema["properties"]["db"]["properties"]["pool_max"]["maximum"] = 500
    file.write_text(json.dumps(schema))
    assert "compatible" in here.sealpipe("schema", "compat", "checkout").stdout
    here.sealpipe("schema", "compat", "checkout", "--base", "nowhere", code=2)

"""What a service imports on its way to its settings."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from client.conftest import Shop
from sealpipe.client.opened import Opened

PIPELINE = Path(__file__).parents[2] / "pipeline"
SERVICE = """
import sys
from pydantic import BaseModel, SecretStr
from sealpipe import PublishedSettings, load
class Db(BaseModel):
    host: str
    password: SecretStr
class S(PublishedSettings):
    db: Db
assert load(S).db.password.get_secret_value() == "hunter2"
print(*sys.modules)
"""


@pytest.fixture
def modules(tmp_path: Path) -> set[str]:
    """Modules of a process that has loaded its settings from a folder store, with a cache."""
    shop = Shop(tmp_path)
    shop.publish({"db": {"host": "h", "password": Opened("hunter2", "str")}})
    done = subprocess.run(
        [sys.executable, "-c", SERVICE],
        env={**shop.environ(SEALPIPE_CACHE=str(tmp_path / "cache")), "PYTHONPATH": str(PIPELINE)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_a_load_from_a_store_imports_no_tooling(modules: set[str]) -> None:
    assert {"pydantic_settings", "nacl", "sealpipe.stores.file"} <= modules
    foreign = {"yaml", "click", "jsonschema", "jsonschema_rs", "rfc8785", "urllib3", "boto3", "kazoo", "rich"}
    assert not foreign & modules


def test_a_load_imports_one_store_and_nothing_of_the_pipeline(modules: set[str]) -> None:
    ours = {name for name in modules if name.startswith("sealpipe.")}
    rooms = {name.split(".")[1] for name in ours}
    assert not rooms & {
        "cli",
        "flows",
        "editing",
        "stages",
        "documents",
        "schemas",
        "github",
        "testing",
        "model",
    }
    assert {name for name in ours if name.startswith("sealpipe.stores.")} == {
        "sealpipe.stores.base",
        "sealpipe.stores.file",
        "sealpipe.stores.folders",
        "sealpipe.stores.registry",
        "sealpipe.stores.single",
    }
    assert "sealpipe.client.throwaway" not in ours

"""`published`: no keys, network or variables, and nothing faked."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from pydantic import BaseModel, SecretStr

from sealpipe import PublishedConfigDict, PublishedSettings, load
from sealpipe.errors import ConfigError
from sealpipe.released import Unit
from sealpipe.releases.check import check_release
from sealpipe.testing import published, sealed
from sealpipe.trust import parse_pins

PIPELINE = Path(__file__).parents[2] / "pipeline"


class Db(BaseModel):
    host: str
    password: SecretStr


class Orders(PublishedSettings):
    model_config = PublishedConfigDict(service="orders")
    db: Db


class Unnamed(PublishedSettings):
    host: str


VALUES = {"db": {"host": "db", "password": sealed("hunter2")}}


def test_inside_the_block_and_nowhere_else() -> None:
    with published(orders=VALUES):
        assert load(Orders).db.password.get_secret_value() == "hunter2"
    with pytest.raises(ConfigError) as caught:
        load(Orders)
    assert caught.value.word == "bootstrap"


def test_variables_of_the_machine_are_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEALPIPE_URL", "consul://nowhere:1/x")
    monkeypatch.setenv("SEALPIPE_ENV", "production")
    monkeypatch.setenv("SEALPIPE_CACHE", "/nowhere")
    before = dict(os.environ)
    with published(orders=VALUES):
        assert load(Orders).db.host == "db"
        assert dict(os.environ) == before


def test_pydantics_secrets_are_sealed() -> None:
    with published(orders={"db": {"host": "db", "password": SecretStr("hunter2")}}) as here:
        assert b"hunter2" not in here.release("orders")
        assert load(Orders).db.password.get_secret_value() == "hunter2"


def test_the_release_is_real() -> None:
    with published(orders=VALUES, environment="stage") as here:
        raw, pin = here.release("orders"), here.sources["orders"].trust
    assert check_release(raw, pins=parse_pins(pin), unit=Unit("stage", "orders")).payload.number == 1
    assert b"hunter2" not in raw


def test_publishing_again_and_nesting() -> None:
    with published(orders=VALUES) as outer:
        outer.publish("orders", {"db": {"host": "second", "password": sealed("x")}})
        assert load(Orders).db.host == "second"
        with published(orders=VALUES):
            assert load(Orders).db.host == "db"
        assert load(Orders).db.host == "second"


def test_services_added_later_and_with_dashes() -> None:
    with published({"shop-api": {"host": "a"}}) as here:
        assert load(Unnamed).host == "a"
        here.publish("mailer", {"host": "b"})
        assert load(Unnamed, source=here.sources["mailer"]).host == "b"


def test_other_threads_see_it() -> None:
    found: list[str] = []
    with published(orders=VALUES):
        thread = threading.Thread(target=lambda: found.append(load(Orders).db.host))
        thread.start()
        thread.join()
    assert found == ["db"]


def test_another_process_gets_it_by_variables() -> None:
    code = (
        "from pydantic import BaseModel, SecretStr\n"
        "from sealpipe import PublishedSettings, load\n"
        "class Db(BaseModel):\n    host: str\n    password: SecretStr\n"
        "class S(PublishedSettings):\n    db: Db\n"
        "print(load(S).db.host)\n"
    )
    with published(orders=VALUES) as here:
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**here.environ("orders"), "PYTHONPATH": str(PIPELINE)},
            capture_output=True,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stdout) == (0, "db\n"), done.stderr


def test_secrets_need_a_place() -> None:
    with pytest.raises(ValueError, match=r"hosts\[0\]"), published(orders={"hosts": [sealed("x")]}):
        pass
    with published() as here:
        here.publish("orders", {"hosts": [{"n": "a", "p": sealed("x")}]}, merge_keys={"/hosts": "n"})
    with pytest.raises(ValueError, match="NoneType cannot be sealed"):
        sealed(None)

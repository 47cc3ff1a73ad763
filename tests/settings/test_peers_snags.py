"""What pydantic-settings lets happen, and other clients of configuration stores do: not here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field, SecretStr, model_validator
from pydantic_settings import CliApp

from client.conftest import Shop
from sealpipe import Live, PublishedConfigDict, PublishedSettings, load
from sealpipe.client.opened import Opened
from sealpipe.errors import (
    ConfigError,
    ConfigRefused,
    ConfigUnavailable,
    ConflictError,
    DeniedError,
    FullError,
    MalformedError,
    OutcomeUnknownError,
    StoreError,
    TooLargeError,
    UnavailableError,
    UnsupportedError,
)
from sealpipe.stores.file import FileStore
from sealpipe.testing import published, sealed

STORE_ERRORS = (
    ConflictError,
    DeniedError,
    FullError,
    MalformedError,
    OutcomeUnknownError,
    TooLargeError,
    UnavailableError,
    UnsupportedError,
)


class Orders(PublishedSettings):
    model_config = PublishedConfigDict(service="orders")
    pool: int
    password: SecretStr | None = None


class Even(Orders):
    @model_validator(mode="after")
    def even(self) -> Even:
        if self.pool % 2:
            raise ValueError("odd")
        return self


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


# ---- pydantic-settings


def test_settings_are_not_loaded_again_into_one_object() -> None:
    """A failing validator would leave what it refused in the object, frozen or not."""
    with published(orders={"pool": 2}) as here:
        settings = load(Even)
        here.publish("orders", {"pool": 3})
        with pytest.raises(TypeError, match="Live"):
            settings.__init__()  # type: ignore[misc]
        here.publish("orders", {"pool": 4})
        with pytest.raises(TypeError, match="Live"):
            settings.__init__()  # type: ignore[misc]
    assert settings.pool == 2


def test_a_release_that_a_validator_refuses_leaves_every_field_as_it_was() -> None:
    with published(orders={"pool": 2}) as here, Live(Even) as live:
        before = live.current
        here.publish("orders", {"pool": 3, "password": sealed("x")})
        assert live.refresh() == "refused"
        assert live.current is before
        assert (before.pool, before.password) == (2, None)


def test_the_cached_settings_of_pydantic_are_those_that_run() -> None:
    class Mine(Orders): ...

    with published(orders={"pool": 2}) as here:
        assert Mine.settings_cached() is Mine.settings_cached()
        with Live(Mine) as live:
            here.publish("orders", {"pool": 4})
            assert live.refresh() in ("applied", "unchanged")
            assert Mine.settings_cached() is live.current
        assert Orders.settings_cached().pool == 4  # no Live of this very class: the first load
        Orders.settings_clear_cache()


def test_help_needs_no_store(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    class Cli(Orders):
        model_config = PublishedConfigDict(cli_parse_args=True)

    monkeypatch.setattr("sys.argv", ["service", "--help"])
    with published(orders={"pool": 2}) as here:
        here.go_down()
        for start in (lambda: load(Cli), lambda: Live(Cli).start()):
            with pytest.raises(SystemExit) as ended:
                start()
            assert ended.value.code == 0
            assert "--pool" in capsys.readouterr().out
        monkeypatch.setattr("sys.argv", ["service", "--pool", "9"])
        with pytest.raises(ConfigUnavailable):
            load(Cli)


class Db(BaseModel):
    host: str = "localhost"
    port: int = 1


def test_a_default_that_a_part_would_undo_is_refused_before_anything_is_read() -> None:
    class Lost(PublishedSettings):
        model_config = PublishedConfigDict(service="orders")
        db: Db = Db(host="db.internal")

    with published(orders={"db": {"port": 5}}), pytest.raises(ConfigError) as caught:
        load(Lost)
    assert caught.value.word == "settings-class"
    assert caught.value.finding.why[0].startswith("Lost.db: its default sets host")


def test_a_default_that_says_nothing_of_its_own_is_none_of_our_business() -> None:
    class Required(BaseModel):
        host: str
        port: int = 1

    class Fine(PublishedSettings):
        model_config = PublishedConfigDict(service="orders")
        db: Db = Db()
        same: Db = Db(host="localhost")
        made: Db = Field(default_factory=Db)
        needs: Required = Required(host="x")

    with published(orders={"db": {"port": 5}}):
        assert load(Fine).db == Db(port=5)


def test_parts_of_a_default_may_be_kept() -> None:
    class Kept(PublishedSettings):
        model_config = PublishedConfigDict(service="orders", nested_model_default_partial_update=True)
        db: Db = Db(host="db.internal")

    with published(orders={"db": {"port": 5}}) as here, Live(Kept) as live:
        assert live.current.db == Db(host="db.internal", port=5)
        here.publish("orders", {"db": {"port": 6}})
        assert live.refresh() in ("applied", "unchanged")
        assert live.current.db == Db(host="db.internal", port=6)


def test_a_variable_that_indexes_a_list_is_named_with_what_to_write(monkeypatch: pytest.MonkeyPatch) -> None:
    class Lists(PublishedSettings):
        model_config = PublishedConfigDict(service="orders")
        hosts: list[str]
        limits: dict[str, int] = Field(default_factory=dict)

    monkeypatch.setenv("ORDERS__HOSTS__0", "canary")
    with published(orders={"hosts": ["a"]}), pytest.raises(ConfigRefused) as caught:
        load(Lists)
    assert caught.value.finding.why[0].split("  ")[1:] == [
        "must be a list, whole and as JSON",
        "from the variable ORDERS__HOSTS__0 (overrides published)",
    ]
    assert "canary" not in str(caught.value)
    monkeypatch.delenv("ORDERS__HOSTS__0")
    monkeypatch.setenv("ORDERS__HOSTS", '["b"]')
    monkeypatch.setenv("ORDERS__LIMITS", "{}")
    with published(orders={"hosts": ["a", "c"], "limits": {"eu": 1}}):
        settings = load(Lists)
    assert (settings.hosts, settings.limits) == (["b"], {"eu": 1})  # maps merge, lists do not


# ---- other clients


@pytest.mark.parametrize("kind", STORE_ERRORS)
def test_whatever_the_store_answers_the_cache_serves(
    kind: type[StoreError], shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nacos' client reads its cache after one code of many; another leaves the secrets out of it."""
    cache = str(tmp_path / "cache")
    shop.publish({"pool": 1, "password": Opened("hunter2", "str")})
    source = shop.source(cache=cache, service="orders", wait=0.05)
    assert load(Orders, source=source).pool == 1

    def broken(*_: Any, **__: Any) -> None:
        raise kind("broken", "the store says no")

    monkeypatch.setattr(FileStore, "get", broken)
    settings = load(Orders, source=source)
    assert settings.pool == 1
    assert settings.password is not None
    assert settings.password.get_secret_value() == "hunter2"


@pytest.mark.parametrize("kind", STORE_ERRORS)
def test_whatever_the_store_answers_what_runs_keeps_running(
    kind: type[StoreError], shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.publish({"pool": 1, "password": Opened("hunter2", "str")})
    with Live(Orders, source=shop.source(service="orders")) as live:

        def broken(*_: Any, **__: Any) -> None:
            raise kind("broken", "the store says no")

        with monkeypatch.context() as patch:
            patch.setattr(FileStore, "get", broken)
            assert live.refresh() in ("unavailable", "refused")
            assert live.current.pool == 1
            assert live.ready()
        assert live.refresh() == "unchanged"
        assert live.status.state == "live"


def test_a_store_that_is_away_is_neither_defaults_nor_the_end_of_the_process() -> None:
    """Clients of others go on with defaults, return None or end the process."""

    class AllDefaults(PublishedSettings):
        model_config = PublishedConfigDict(service="orders")
        pool: int = 5

    with published(orders={"pool": 2}) as here:
        here.go_down()
        with pytest.raises(ConfigUnavailable) as caught:
            load(AllDefaults)
    assert isinstance(caught.value, Exception)
    assert caught.value.exit_code == 75


def test_another_services_settings_built_inside_a_refresh_are_its_own() -> None:
    class Mailer(PublishedSettings):
        model_config = PublishedConfigDict(service="mailer")
        host: str

    seen: list[str] = []

    class Nesting(Orders):
        @model_validator(mode="after")
        def nest(self) -> Nesting:
            seen.append(load(Mailer).host)
            return self

    with published(orders={"pool": 1}, mailer={"host": "mail"}) as here, Live(Nesting) as live:
        here.publish("orders", {"pool": 2})
        assert live.refresh() in ("applied", "unchanged")
        assert live.current.pool == 2
    assert set(seen) == {"mail"}
    assert len(seen) >= 2


def test_importing_and_making_settings_starts_no_thread_and_prints_nothing() -> None:
    code = (
        "import threading\nfrom sealpipe import Live, PublishedSettings\n"
        "class S(PublishedSettings):\n    pool: int\n"
        "live = Live(S)\nassert threading.active_count() == 1"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_command_lines_of_pydantic_settings(capsys: pytest.CaptureFixture[str]) -> None:
    class Command(Orders):
        def cli_cmd(self) -> None:
            print("runs with", self.pool)

    with published(orders={"pool": 2}) as here:
        assert CliApp.run(Command, cli_args=["--pool", "7"]).pool == 7
        assert CliApp.run(Command, cli_args=[]).pool == 2
        assert capsys.readouterr().out == "runs with 7\nruns with 2\n"
        here.go_down()
        with pytest.raises(SystemExit) as ended:
            CliApp.run(Command, cli_args=["--help"])
        assert ended.value.code == 0

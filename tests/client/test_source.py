"""Bootstrap: what SEALPIPE_* mean, and what a source shows of itself."""

from __future__ import annotations

import pickle
import stat
from pathlib import Path

import pytest

from sealpipe.client.source import Source, installed, variable_prefix
from sealpipe.crypto.keys import generate_private_key
from sealpipe.errors import ConfigError, TrustError

ALL = {"URL": "file:/store", "ENV": "dev", "SERVICE": "orders", "TRUST": "st1-x", "CACHE": "/var/cache/x"}


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in ALL.items():
        monkeypatch.setenv(f"SEALPIPE_{name}", value)
    return monkeypatch


def test_variables_become_a_source(variables: pytest.MonkeyPatch) -> None:
    source = Source.from_env(wait=1.0).checked()
    assert (source.url, str(source.unit), source.trust) == ("file:/store", "dev/orders", "st1-x")
    assert (source.cache, source.wait) == ("/var/cache/x", 1.0)
    assert Source.from_env(service="mailer").service == "mailer"


def test_whitespace_separates_fallbacks_and_commas_endpoints(variables: pytest.MonkeyPatch) -> None:
    variables.setenv("SEALPIPE_URL", "etcd://a:1,b:1/config \n file:/copy\trelease:/seed")
    assert Source.from_env().urls == ("etcd://a:1,b:1/config", "file:/copy", "release:/seed")


def test_every_missing_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError) as caught:
        Source.from_env(env="dev").checked()
    assert caught.value.word == "bootstrap"
    assert caught.value.exit_code == 78
    assert "SEALPIPE_URL and SEALPIPE_SERVICE and SEALPIPE_TRUST are not set" in str(caught.value)


@pytest.mark.parametrize("name", ["../dev", "Dev", "dev/x", "-dev", "dev\n"])
def test_names_are_names(name: str) -> None:
    with pytest.raises(ConfigError):
        Source(url="file:/x", env=name, service="orders", trust="t").checked()


def test_nothing_is_read_from_dotenv_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("SEALPIPE_URL=file:/evil\n")
    monkeypatch.chdir(tmp_path)
    assert Source.from_env().url == ""


def test_the_key_is_found_when_it_is_needed(variables: pytest.MonkeyPatch, tmp_path: Path) -> None:
    key, text = generate_private_key()
    file = tmp_path / "key"
    file.write_text(text)
    file.chmod(0o600)
    variables.setenv("SEALPIPE_KEY_FILE", str(file))
    source = Source.from_env()
    found = source.find_key()
    assert found is not None
    assert found.public == key.public
    file.chmod(0o644)
    with pytest.raises(TrustError):
        source.find_key()
    assert Source(key=text).find_key().public == key.public  # type: ignore[union-attr]
    assert Source().find_key() is None


def test_a_command_runs_at_load_and_not_before(variables: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _, text = generate_private_key()
    (tmp_path / "give").write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\necho {text}\n")
    (tmp_path / "give").chmod(stat.S_IRWXU)
    variables.setenv("SEALPIPE_KEY_CMD", str(tmp_path / "give"))
    source = Source.from_env()
    assert not (tmp_path / "ran").exists()
    assert source.find_key() is not None


def test_a_source_shows_no_key_and_no_user(variables: pytest.MonkeyPatch) -> None:
    _, text = generate_private_key()
    variables.setenv("SEALPIPE_KEY", text)
    source = Source.from_env(url="consul://anna:pw@host:8500/config")
    for shown in (repr(source), str(source), f"{source}"):
        assert text not in shown
        assert "pw" not in shown
        assert "host:8500" in shown
    with pytest.raises(TypeError):
        pickle.dumps(source)


def test_prefixes() -> None:
    assert variable_prefix("shop-api") == "SHOP_API__"
    for name in ("a--b", "a__b", "a-_b"):
        with pytest.raises(ConfigError):
            variable_prefix(name)


def test_installed_sources_win_inside_their_block_only() -> None:
    mine = Source(url="held:x", env="test", service="orders", trust="t")
    other = Source(url="held:y", env="test", service="orders", trust="t")
    with installed({"orders": mine}):
        assert Source.from_env(service="orders") is not None
        assert Source.from_env().url == "held:x"
        with installed({"orders": other}):
            assert Source.from_env(service="orders").url == "held:y"
        assert Source.from_env(service="orders").url == "held:x"
        assert Source.from_env(service="mailer").url == ""
    assert Source.from_env(service="orders").url == ""


def test_a_cache_below_home_may_be_written_with_a_tilde(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no shell stands between: a unit file, a container's environment."""
    monkeypatch.setenv("SEALPIPE_CACHE", "~/cache")
    assert Source.from_env().cache == str(Path.home() / "cache")
    monkeypatch.delenv("SEALPIPE_CACHE")
    assert Source.from_env().cache == ""

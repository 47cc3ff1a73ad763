"""Servers as fixtures: each is started by the first test of a process that asks for it, and shared.

A test writes below its own `store_prefix`. What changes a whole server (restarts, users, limits) starts one
of its own in `server_folder`.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from servers import programs
from servers.certificates import Authority, make_authority
from servers.consul import start_consul, start_consul_cluster
from servers.etcd import start_etcd, start_etcd_cluster
from servers.places import PLACES, Place, place_on
from servers.processes import Cluster, Running
from servers.s3 import start_moto, start_weed
from servers.zookeeper import start_zookeeper, start_zookeeper_cluster


def need(program: str) -> None:
    """Skip the test, saying what brings the program, where it is not."""
    if programs.find(program) is None:
        pytest.skip(programs.hint(program))


def _shared(
    factory: pytest.TempPathFactory, program: str, start: Callable[..., Any], **how: Any
) -> Iterator[Any]:
    need(program)
    running = start(factory.mktemp(program), **how)
    yield running
    running.kill()


@pytest.fixture(scope="session")
def consul(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    yield from _shared(tmp_path_factory, "consul", start_consul)


@pytest.fixture(scope="session")
def consul_acl(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """It denies what no token allows; its `environ` names the token that may do everything."""
    yield from _shared(tmp_path_factory, "consul", start_consul, acl=True)


@pytest.fixture(scope="session")
def consul_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    yield from _shared(tmp_path_factory, "consul", start_consul_cluster)


@pytest.fixture(scope="session")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    yield from _shared(tmp_path_factory, "etcd", start_etcd)


@pytest.fixture(scope="session")
def etcd_old(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """3.5.1, which PyPI has."""
    yield from _shared(tmp_path_factory, "etcd-old", start_etcd, old=True)


@pytest.fixture(scope="session")
def etcd_users(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """It refuses whoever is no user; its `environ` names root and its password."""
    yield from _shared(tmp_path_factory, "etcd", start_etcd, users=True)


@pytest.fixture(scope="session")
def etcd_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    yield from _shared(tmp_path_factory, "etcd", start_etcd_cluster)


@pytest.fixture(scope="session")
def zookeeper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    yield from _shared(tmp_path_factory, "zookeeper", start_zookeeper)


@pytest.fixture(scope="session")
def zookeeper_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    yield from _shared(tmp_path_factory, "zookeeper", start_zookeeper_cluster)


@pytest.fixture(scope="session")
def weed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    yield from _shared(tmp_path_factory, "weed", start_weed)


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    yield from _shared(tmp_path_factory, "moto_server", start_moto)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Issues certificates that test clients are told to trust."""
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def store_prefix() -> str:
    """A prefix of keys that no other test uses, ending with a slash."""
    return f"t{secrets.token_hex(6)}/"


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Place:
    """An empty place on each kind of server in turn, with its credentials in the environment."""
    kind = PLACES[request.param]
    server: Running = request.getfixturevalue(kind.fixture)
    for name, value in server.environ.items():
        monkeypatch.setenv(name, value)
    return place_on(request.param, server)


@pytest.fixture
def server_folder(tmp_path: Path) -> Path:
    """Where a test starts a server of its own, which it kills itself."""
    folder = tmp_path / "server"
    folder.mkdir()
    return folder

"""What `doctor` learns from each real server: version, holes, rights; and nothing it need not say."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import urllib3

from sealpipe.stores.base import Fact, Put
from sealpipe.stores.probes.clock import ahead, clock
from sealpipe.stores.probes.etcd import HOLES
from sealpipe.stores.probes.facts import Asked, store_facts
from sealpipe.stores.probes.local import open_mark
from sealpipe.stores.probes.versions import holes, parse_version
from sealpipe.stores.probes.zk import HOLES as ZK_HOLES
from sealpipe.stores.registry import open_store
from servers.certificates import Authority
from servers.consul import TOKEN
from servers.etcd import call, token_of
from servers.fixtures import need
from servers.places import Place
from servers.processes import Running
from servers.s3 import BUCKET
from servers.zookeeper import start_zookeeper


def facts(url: str, *, publisher: bool = True) -> list[Fact]:
    return list(store_facts(Asked(url, "/", "dev/doctor/", publisher)))


def texts(found: list[Fact], mark: str) -> list[str]:
    return [fact.text for fact in found if fact.mark == mark]


def holds(found: list[Fact], mark: str, piece: str) -> bool:
    return any(piece in text for text in texts(found, mark))


NAMES = {"consul": "Consul 1.15", "etcd": "etcd 3.6.16", "etcd-old": "etcd 3.5.1", "zk": "ZooKeeper 3."}


def test_every_store_is_known_and_keeps_its_word(place: Place) -> None:
    found = facts(place.url)
    if place.kind in NAMES:
        assert holds(found, "ok", NAMES[place.kind])
    assert holds(found, "ok", "conditional writes hold")
    assert holds(found, "ok", "answers in")
    assert holds(found, "ok", "its clock agrees")
    store, prefix = open_store(place.url, base="/")
    assert store.keys(prefix) == [], "the probe is removed"
    store.close()


def test_the_holes_of_an_old_etcd(etcd_old: Running) -> None:
    found = facts(f"etcd://{etcd_old.address}/config")
    assert holds(found, "problem", "a member that is killed may keep other data than the rest")
    assert holds(found, "warning", "GHSA-xg4h-6gfc-h4m8")
    assert holds(found, "warning", "CVE-2026-33343")


def test_a_good_etcd_has_none(etcd: Running) -> None:
    found = facts(f"etcd://{etcd.address}/config")
    assert not any("CVE" in fact.text or "GHSA" in fact.text for fact in found)
    assert holds(found, "unknown", "users are off")
    assert holds(found, "ok", "1 member")


def test_an_alarm_of_etcd(server_folder: Path) -> None:
    need("etcd")
    from servers.etcd import start_etcd

    server = start_etcd(server_folder, more=("--quota-backend-bytes", "200000"))
    try:
        store, _ = open_store(f"etcd://{server.address}", base="/")
        for n in range(20):
            try:
                store.write([Put(f"k{n}", bytes(100_000), None)])
            except Exception:  # noqa: BLE001 - full is what we want
                break
        url = f"etcd://{server.address}/config"
        deadline = time.monotonic() + 5.0  # the refused write comes first, the alarm a moment later
        while not holds(facts(url), "problem", "raises an alarm"):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        store.close()
    finally:
        server.kill()


def test_what_is_said_of_a_bucket(moto: Running, store_prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in moto.environ.items():
        monkeypatch.setenv(name, value)
    url = f"s3://{BUCKET}/{store_prefix}x?endpoint=http://{moto.address}"
    found = facts(url)
    assert holds(found, "ok", f"S3 at http://{moto.address}")
    assert holds(found, "ok", "earlier versions are not kept")
    assert not [fact for fact in found if fact.mark in ("warning", "problem")]
    assert holds(facts(f"{url}&lock=compliance:1d"), "problem", "the URL asks for Object Lock")


def consul_token(server: Running, rules: str) -> str:
    headers = {"X-Consul-Token": TOKEN}
    pool = urllib3.PoolManager(retries=False, timeout=5.0)
    name = "p" + str(abs(hash(rules)))
    body = json.dumps({"Name": name, "Rules": rules}).encode()
    policy = pool.request("PUT", f"{server.url}/v1/acl/policy", body=body, headers=headers).json()
    body = json.dumps({"Policies": [{"ID": policy["ID"]}]}).encode()
    made = pool.request("PUT", f"{server.url}/v1/acl/token", body=body, headers=headers).json()
    return str(made["SecretID"])


@pytest.mark.parametrize(
    ("rules", "publisher", "mark", "piece"),
    [
        ('key_prefix "{0}config/" {{ policy = "write" }}', True, "ok", "may write below {0}config/ only"),
        ('key_prefix "{0}" {{ policy = "write" }} key_prefix "" {{ policy = "write" }}', True, "warning",
         "may write outside of {0}config/"),
        ('key_prefix "{0}config/" {{ policy = "read" }}', False, "ok", "cannot write from here"),
        ('key_prefix "{0}config/" {{ policy = "read" }}', True, "problem", "may not write there"),
        ('key_prefix "{0}config/" {{ policy = "write" }}', False, "warning", "who only reads needs no more"),
        ('key_prefix "{0}other/" {{ policy = "read" }}', True, "problem", "Consul refused"),
    ],
)  # fmt: skip
def test_tokens_of_consul(
    consul_acl: Running, store_prefix: str, monkeypatch: pytest.MonkeyPatch,
    rules: str, publisher: bool, mark: str, piece: str,
) -> None:  # fmt: skip
    token = consul_token(consul_acl, rules.format(store_prefix))
    monkeypatch.setenv("CONSUL_HTTP_TOKEN", token)
    found = facts(f"consul://{consul_acl.address}/{store_prefix}config", publisher=publisher)
    assert holds(found, mark, piece.format(store_prefix)), found
    assert not any(token in f"{fact.text}{fact.hint}" for fact in found)


def test_consul_that_shows_keys_to_nobody(consul_acl: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSUL_HTTP_TOKEN", TOKEN)
    assert holds(facts(f"consul://{consul_acl.address}/config"), "ok", "nothing is shown without a token")


def test_consul_whose_acls_are_off(consul: Running) -> None:
    assert holds(facts(f"consul://{consul.address}/config"), "unknown", "ACLs are off")


@pytest.mark.parametrize(("publisher", "write"), [(True, True), (False, False), (True, False), (False, True)])
def test_users_of_etcd(
    etcd_users: Running, store_prefix: str, monkeypatch: pytest.MonkeyPatch, publisher: bool, write: bool
) -> None:
    import base64

    token, name = token_of(etcd_users), f"u{store_prefix[:-1]}"
    start = f"{store_prefix}config/".encode()
    end = start[:-1] + bytes([start[-1] + 1])
    call(etcd_users, "/v3/auth/role/add", {"name": name}, token)
    perm = {
        "permType": "READWRITE" if write else "READ",
        "key": base64.b64encode(start).decode(),
        "range_end": base64.b64encode(end).decode(),
    }
    call(etcd_users, "/v3/auth/role/grant", {"name": name, "perm": perm}, token)
    call(etcd_users, "/v3/auth/user/add", {"name": name, "password": "pw-of-a-user"}, token)
    call(etcd_users, "/v3/auth/user/grant", {"user": name, "role": name}, token)
    monkeypatch.setenv("ETCDCTL_USER", f"{name}:pw-of-a-user")
    found = facts(f"etcd://{etcd_users.address}/{store_prefix}config", publisher=publisher)
    assert "pw-of-a-user" not in str(found)
    expected = {
        (True, True): ("ok", "may write below"),
        (False, False): ("ok", "cannot write from here"),
        (True, False): ("problem", "may not write there"),
        (False, True): ("warning", "who only reads needs no more"),
    }[publisher, write]
    assert holds(found, *expected), found


@pytest.mark.parametrize(
    ("version", "names"),
    [
        ("3.5.1", ["fixed in 3.5.3", "GHSA-xg4h-6gfc-h4m8", "CVE-2026-33343"]),
        ("3.5.3", ["GHSA-xg4h-6gfc-h4m8", "CVE-2026-33343"]),
        ("3.5.28", ["GHSA-xg4h-6gfc-h4m8"]),
        ("3.5.33", []),
        ("3.6.9", ["GHSA-xg4h-6gfc-h4m8"]),
        ("3.6.8", ["GHSA-xg4h-6gfc-h4m8", "CVE-2026-33343"]),
        ("3.6.14", []),
        ("3.7.0", ["GHSA-xg4h-6gfc-h4m8"]),
        ("3.7.1", []),
        ("3.8.0", []),
        ("4.0.0", []),
        ("", []),
        ("junk", []),
    ],
)
def test_which_versions_have_which_hole(version: str, names: list[str]) -> None:
    found = [fact.text.rpartition("(")[2].rstrip(")") for fact in holes("etcd", version, HOLES)]
    assert sorted(found) == sorted(names)


def test_zookeeper_over_tls(
    server_folder: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    need("zookeeper")
    server = start_zookeeper(server_folder, tls=authority)
    try:
        url = f"zk+tls://127.0.0.1:{server.port}/shop"
        monkeypatch.setenv("SEALPIPE_ZK_CACERT", str(authority.certificate))
        found = facts(url)
        assert holds(found, "ok", "ZooKeeper 3.")
        assert holds(found, "ok", "its clock agrees")
        monkeypatch.delenv("SEALPIPE_ZK_CACERT")
        assert holds(facts(url), "unknown", "certificate")
    finally:
        server.kill()


def test_a_clock_of_zookeeper_that_is_wrong(zookeeper: Running, store_prefix: str) -> None:
    store, prefix = open_store(f"zk://{zookeeper.address}/{store_prefix}x", base="/")
    try:
        store.write([Put(f"{prefix}dev/a", b"1", None)])
        written = store.written(f"{prefix}dev/a")  # type: ignore[attr-defined]
        assert abs(written - time.time()) < 5
        assert store.written(f"{prefix}dev/none") is None  # type: ignore[attr-defined]
    finally:
        store.close()
    assert ahead(-3600).mark == "warning"
    assert "3,600 s behind this one" in ahead(-3600).text


def test_versions_of_zookeeper() -> None:
    assert len(list(holes("ZooKeeper", "3.8.0", ZK_HOLES))) == 2
    assert list(holes("ZooKeeper", "3.9.3", ZK_HOLES)) == []
    assert parse_version("3.8.0-1+deb12") == (3, 8, 0)
    assert parse_version("v3.6.1") == (3, 6, 1)


@pytest.mark.parametrize(
    ("off", "mark"), [(0, "ok"), (20, "ok"), (-20, "ok"), (120, "warning"), (-120, "warning")]
)
def test_the_clock(off: int, mark: str) -> None:
    now = 1_793_000_000.0
    from email.utils import formatdate

    [fact] = clock({"date": formatdate(now + off, usegmt=True)}, now)
    assert fact.mark == mark
    if mark == "warning":
        assert ("ahead" if off > 0 else "behind") in fact.text


@pytest.mark.parametrize("headers", [{}, {"date": ""}, {"date": "yesterday"}])
def test_an_answer_without_a_date(headers: dict[str, str]) -> None:
    assert clock(headers) == []


def test_what_is_usual_on_ones_own_machine_is_careless_elsewhere() -> None:
    assert (
        open_mark("consul://127.0.0.1:8500/x") == open_mark("etcd://localhost:1,127.0.0.1:2/x") == "unknown"
    )
    assert open_mark("consul://consul.internal/x") == open_mark("etcd://127.0.0.1:1,b:2/x") == "warning"

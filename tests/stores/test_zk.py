"""ZooKeeper: what only ZooKeeper does, on real servers (contract: test_contract.py)."""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import suppress
from urllib.parse import quote

import pytest
from kazoo.client import KazooClient
from kazoo.exceptions import MarshallingError
from kazoo.security import ACL, Id, make_digest_acl_credential
from tests.stores.pages import policy

from sealpipe.client.watch import Watch
from sealpipe.errors import (
    ConfigError,
    ConflictError,
    DeniedError,
    OutcomeUnknownError,
    StoreError,
    TooLargeError,
    UnavailableError,
    UnsupportedError,
    UsageError,
)
from sealpipe.released import Unit
from sealpipe.stores.base import ABSENT, Check, Delete, Put
from sealpipe.stores.registry import open_store
from sealpipe.stores.zk import reads
from sealpipe.stores.zk.handler import _turn
from sealpipe.stores.zk.session import Session
from servers.certificates import make_authority
from servers.processes import free_ports
from servers.proxy import Fault, Proxy
from servers.zookeeper import SUPER, start_zookeeper


@pytest.fixture
def open_zk(zookeeper, store_prefix):
    """Opens one more client of this test's own place; all are closed at the end."""
    opened = []

    def one(address=zookeeper.address, place=store_prefix, options="", scheme="zk"):
        store, prefix = open_store(f"{scheme}://{address}/{place.strip('/')}{options}", base="/")
        assert prefix == ""
        opened.append(store)
        return store

    yield one
    for store in opened:
        store.close()


@pytest.fixture
def raw(zookeeper):
    """kazoo itself, which passes every ACL."""
    client = KazooClient(zookeeper.address, auth_data=[("digest", SUPER)])
    client.start(timeout=20)
    yield client
    client.stop()
    client.close()


# ---- many at once


def test_many_znodes_come_in_a_few_requests(open_zk, raw, store_prefix, monkeypatch):
    store = open_zk()
    values = {f"dev/heads/s{n:03}": bytes([n % 256]) * n for n in range(300)}
    for start in range(0, 300, 100):
        store.write([Put(key, values[key], ABSENT) for key in [*values][start : start + 100]])
    raw.create(f"/{store_prefix.strip('/')}/dev/heads/s000/below", b"x")
    requests = []
    real = reads._sent
    monkeypatch.setattr(reads, "_sent", lambda client, one: requests.append(one) or real(client, one))
    found = {entry.key: entry.value for entry in store.scan("dev/heads/")}
    del values["dev/heads/s000"]  # empty, and it holds another: no key
    assert found == {**values, "dev/heads/s000/below": b"x"}
    assert len(requests) == 3
    assert str(requests[0]) == "MultiRead(128 paths)"


def test_a_server_that_does_not_know_it_is_asked_for_each(open_zk, monkeypatch):
    """ZooKeeper before 3.6 hangs up on an operation that it does not know; so does a newer one on another."""
    monkeypatch.setattr(reads.MultiRead, "type", 77)
    store = open_zk()
    values = {f"dev/heads/s{n:03}": b"x" for n in range(150)}
    store.write([Put(key, value, ABSENT) for key, value in values.items()])
    assert {entry.key: entry.value for entry in store.scan("dev/heads/")} == values
    assert [*store.versions("dev/heads/").versions] == [*values]


def test_what_one_znode_refuses_is_that_znodes(open_zk, raw, store_prefix):
    store = open_zk()
    keys = [f"dev/heads/s{n:03}" for n in range(20)]
    store.write([Put(key, b"x", ABSENT) for key in keys])
    acl = ACL(31, Id("digest", make_digest_acl_credential("nobody", "here")))
    raw.set_acls(f"/{store_prefix.strip('/')}/dev/heads/s007", [acl])
    with pytest.raises(DeniedError):
        list(store.scan("dev/heads/"))


ENTRY = bytes.fromhex("00000004 00 00000000 00000001 78") + bytes(68)
END = bytes.fromhex("ffffffff 01 ffffffff")


@pytest.mark.parametrize(
    "data",
    [
        b"", END, ENTRY, ENTRY + ENTRY + END, ENTRY[:-1] + END,
        bytes.fromhex("00000005 00 00000000") + END,
        bytes.fromhex("00000004 00 00000000 7fffffff") + END,
    ],
)  # fmt: skip
def test_answers_that_are_none(data):
    with pytest.raises(MarshallingError):
        reads.MultiRead(["/a"]).deserialize(data, 0)


def test_an_answer():
    [(value, stat)] = reads.MultiRead(["/a"]).deserialize(b"head" + ENTRY + END, 4)
    assert (value, stat.version) == (b"x", 0)


# ---- znodes


def test_a_znode_that_only_holds_others_is_no_key(open_zk, raw, store_prefix):
    root = "/" + store_prefix.strip("/")
    raw.ensure_path(f"{root}/made/by-hand")  # kazoo and people make empty ones
    store = open_zk()
    store.write([Put("made/by-hand/a", b"1", ABSENT), Put("dev/heads/a", b"", ABSENT)])
    assert store.keys("") == ["dev/heads/a", "made/by-hand/a"]
    assert [entry.key for entry in store.scan("")] == store.keys("")
    for container in ("dev", "dev/heads", "made", "made/by-hand"):
        assert store.get(container) is None
        assert store.wait(container, ABSENT, timeout=0.05) is False
    assert raw.get(f"{root}/dev/heads")[0] is None  # null, and not empty
    store.write([Put("dev/heads", b"both", ABSENT)])
    assert store.keys("") == ["dev/heads", "dev/heads/a", "made/by-hand/a"]


def test_a_delete_leaves_nothing_behind_that_it_had_made(open_zk, raw, store_prefix):
    root = "/" + store_prefix.strip("/")
    store = open_zk()
    chunks = [f"dev/chunks/a/1-x/{number}" for number in range(3)]
    store.write([Put(key, b"c", ABSENT) for key in chunks])
    store.write([Delete(chunks[0])])
    assert raw.exists(f"{root}/dev/chunks/a/1-x")
    store.write([Delete(key) for key in chunks[1:]])
    assert raw.exists(f"{root}/dev/chunks/a/1-x") is None
    assert store.keys("") == []
    assert raw.exists(f"{root}/dev/chunks/a")
    store.write([Put(chunks[0], b"again", ABSENT)])
    assert store.keys("") == [chunks[0]]


def test_a_key_deleted_and_made_again_is_never_the_old_one(open_zk, raw, store_prefix):
    """Its znode version starts at nought again: by that alone, a stale swap would be taken."""
    store = open_zk()
    store.write([Put("dev/heads/a", b"1", ABSENT)])
    stale = store.get("dev/heads/a")
    store.write([Delete("dev/heads/a")])
    store.write([Put("dev/heads/a", b"2", ABSENT)])
    path = f"/{store_prefix.strip('/')}/dev/heads/a"
    assert raw.get(path)[1].version == 0
    for op in (Put("dev/heads/a", b"3", stale.version), Delete("dev/heads/a", stale.version)):
        with pytest.raises(ConflictError):
            store.write([op])
    with pytest.raises(ConflictError):
        store.write([Check("dev/heads/a", stale.version), Put("dev/b", b"", None)])
    assert store.get("dev/heads/a").value == b"2"


def test_a_check_for_absence_leaves_nothing(open_zk):
    store = open_zk()
    store.write([Check("dev/state", ABSENT), Put("dev/heads/a", b"1", ABSENT)])
    assert store.keys("") == ["dev/heads/a"]


def test_the_servers_own_znodes_are_no_keys(open_zk, raw):
    store = open_zk(place="")
    assert not [key for key in store.keys("") if key.startswith("zookeeper")]


def test_what_a_server_would_answer_by_hanging_up_is_not_sent(open_zk):
    """jute.maxbuffer: to a larger request the only answer is a lost connection."""
    store = open_zk()
    with pytest.raises(TooLargeError):
        store.write([Put("dev/heads/a", bytes(store.limits.value + 1), None)])
    half = bytes(store.limits.request // 2 - 200)
    fits = [Put("dev/heads/a", half, None), Put("dev/heads/b", half, None)]
    assert store.limits.request - 300 < store.size(fits) <= store.limits.request
    store.write(fits)
    with pytest.raises(TooLargeError):
        store.write([*fits, Put("dev/heads/c", bytes(500), None)])
    many = [Put(f"dev/heads/s{number}", b"x" * 1500, None) for number in range(store.limits.ops)]
    store.write(many)
    assert len(store.keys("dev/heads/")) == 2 + store.limits.ops


# ---- who may do what


def test_least_privilege_with_digests(open_zk, raw, monkeypatch, store_prefix):
    """As docs/guides/zookeeper.md says: CI publishes, a service reads, and nobody else does either."""
    root = store_prefix.strip("/")
    reader = make_digest_acl_credential("orders", "reading")
    options = f"?read={quote('digest:' + reader)}"
    monkeypatch.setenv("SEALPIPE_ZK_AUTH", "digest:ci:publishing")
    ci = open_zk(options=options)
    ci.write([Put("dev/heads/a", b"1", ABSENT)])
    acl = {(one.id.scheme, one.id.id, one.perms) for one in raw.get_acls(f"/{root}/dev/heads")[0]}
    own = make_digest_acl_credential("ci", "publishing")
    assert acl == {("digest", own, 31), ("digest", reader, 1)}

    monkeypatch.setenv("SEALPIPE_ZK_AUTH", "digest:orders:reading")
    service = open_zk()
    assert service.get("dev/heads/a", fresh=True).value == b"1"
    assert service.keys("") == ["dev/heads/a"]
    for ops in (
        [Put("dev/heads/a", b"2", None)],
        [Put("dev/heads/b", b"2", ABSENT)],
        [Put("dev/new/b", b"2", ABSENT)],
        [Delete("dev/heads/a")],
    ):
        with pytest.raises(DeniedError) as caught:
            service.write(ops)
        assert caught.value.word == "store-denied"

    for login in ("digest:orders:guess", ""):
        monkeypatch.setenv("SEALPIPE_ZK_AUTH", login)
        stranger = open_zk()
        with pytest.raises(DeniedError) as caught:
            stranger.get("dev/heads/a")
        assert "guess" not in str(caught.value)
        with pytest.raises(DeniedError):
            stranger.keys("")
    assert ci.get("dev/heads/a").value == b"1"


def test_writers_named_by_another(open_zk, monkeypatch, tmp_path):
    ops = make_digest_acl_credential("ops", "rescue")
    file = tmp_path / "login"
    file.write_text("digest:ci:publishing\n")
    monkeypatch.setenv("SEALPIPE_ZK_AUTH_FILE", str(file))
    monkeypatch.setenv("SEALPIPE_ZK_WRITE", f"digest:{ops}")
    open_zk().write([Put("dev/heads/a", b"1", ABSENT)])
    monkeypatch.setenv("SEALPIPE_ZK_AUTH", "digest:ops:rescue")
    rescue = open_zk()
    rescue.write([Put("dev/heads/a", b"2", rescue.get("dev/heads/a").version)])
    rescue.write([Put("dev/releases/a/1", b"2", ABSENT)])


def test_sasl(server_folder, monkeypatch):
    server = start_zookeeper(server_folder, users={"ci": "publishing", "orders": "reading"})
    url = f"zk://{server.address}/shop?read=sasl:orders"
    stores = []
    try:
        for login in ("sasl:ci:publishing", "sasl:orders:reading", "sasl:orders:guess"):
            monkeypatch.setenv("SEALPIPE_ZK_AUTH", login)
            stores.append(open_store(url, base="/")[0])
        ci, orders, stranger = stores
        ci.write([Put("dev/heads/a", b"1", ABSENT)])
        assert orders.get("dev/heads/a").value == b"1"
        with pytest.raises(DeniedError):
            orders.write([Put("dev/heads/a", b"2", None)])
        with pytest.raises(DeniedError) as caught:
            stranger.get("dev/heads/a")
        assert "refused the login" in str(caught.value)
        assert "guess" not in str(caught.value)
        monkeypatch.delenv("SEALPIPE_ZK_AUTH")
        stores.append(open_store(url, base="/")[0])
        with pytest.raises(DeniedError):
            stores[-1].get("dev/heads/a")
    finally:
        for store in stores:
            store.close()
        server.kill()


def test_the_rights_of_the_guide(server_folder, monkeypatch):
    """What the page tells whoever runs ZooKeeper, line by line as zkCli would do it."""
    users = {"ci": "publishing", "orders": "reading", "other": "nothing"}
    server = start_zookeeper(server_folder, users=users)
    admin = KazooClient(server.address, auth_data=[("digest", SUPER)])
    url = f"zk://{server.address}/config?read=sasl:orders"
    stores = {}
    try:
        admin.start(timeout=20)
        paste(admin, policy("zookeeper.md", "root"))
        for name, password in users.items():
            monkeypatch.setenv("SEALPIPE_ZK_AUTH", f"sasl:{name}:{password}")
            stores[name] = open_store(url, base="/")[0]
        stores["ci"].write([Put("dev/heads/a", b"1", ABSENT)])
        assert stores["ci"].keys("") == ["dev/heads/a"]
        assert stores["orders"].get("dev/heads/a").value == b"1"
        for name in ("orders", "other"):
            for op in (
                Put("dev/heads/a", b"2", None),
                Put("mine/heads/a", b"", ABSENT),
                Delete("dev/heads/a"),
            ):
                with pytest.raises(DeniedError):
                    stores[name].write([op])
        with pytest.raises(DeniedError):
            stores["other"].get("dev/heads/a")
        with pytest.raises(DeniedError):
            stores["other"].keys("")
        stores["ci"].write([Delete("dev/heads/a")])
    finally:
        for store in stores.values():
            store.close()
        admin.stop()
        server.kill()


def paste(admin, commands):
    """Runs what is given to paste, as zkCli would."""
    for line in commands.splitlines():
        command, path, *rights = line.split()
        if command == "create":
            admin.create(path)
        else:
            assert command == "setAcl"
            admin.set_acls(path, [_acl(one) for one in rights[0].split(",")])


def _acl(text):
    scheme, who, letters = text.split(":")
    perms = sum({"r": 1, "w": 2, "c": 4, "d": 8, "a": 16}[letter] for letter in letters)
    return ACL(perms, Id(scheme, who))


def test_tls(server_folder, authority, tmp_path, monkeypatch):
    """Only for a certificate of that authority, for that host; a client's own certificate is its login."""
    server = start_zookeeper(server_folder, tls=authority)
    port = server.port
    mine = authority.issue("ci", tmp_path / "ci")
    stores = []

    def opened(host="127.0.0.1", scheme="zk+tls"):
        stores.append(open_store(f"{scheme}://{host}:{port}/shop", base="/")[0])
        return stores[-1]

    def refused(store, *words):
        started = time.monotonic()
        with pytest.raises(UnavailableError) as caught:
            store.get("dev/heads/a", timeout=5)
        assert time.monotonic() - started < 4
        assert any(word in str(caught.value) for word in words), str(caught.value)

    try:
        monkeypatch.setenv("SEALPIPE_ZK_CACERT", str(authority.certificate))
        monkeypatch.setenv("SEALPIPE_ZK_CERT", str(mine["certificate"]))
        monkeypatch.setenv("SEALPIPE_ZK_KEY", str(mine["key"]))
        ci = opened()
        ci.write([Put("dev/heads/a", b"1", ABSENT)])
        assert opened("localhost").get("dev/heads/a").value == b"1"
        for name in ("CERT", "KEY"):
            monkeypatch.delenv(f"SEALPIPE_ZK_{name}")
        with pytest.raises(DeniedError):  # created for the certificate's owner alone
            opened().get("dev/heads/a")
        refused(opened("127.1"), "certificate")  # the same server, by a name that is not its own
        other = make_authority(tmp_path / "other", "another authority")
        monkeypatch.setenv("SEALPIPE_ZK_CACERT", str(other.certificate))
        refused(opened(), "certificate")
        monkeypatch.delenv("SEALPIPE_ZK_CACERT")
        refused(opened(), "certificate")
        with socket.create_server(("127.0.0.1", 0)) as plain:  # takes the connection, and says no word of TLS
            threading.Thread(target=lambda: plain.accept()[0].sendall(b"no TLS\n"), daemon=True).start()
            store, _ = open_store(f"zk+tls://127.0.0.1:{plain.getsockname()[1]}/shop", base="/")
            stores.append(store)
            refused(store, "does it speak TLS?")
        monkeypatch.setenv("SEALPIPE_ZK_CACERT", str(tmp_path / "none.pem"))
        with pytest.raises(UsageError) as caught:
            opened()
        assert caught.value.word == "bad-tls-files"
    finally:
        for store in stores:
            store.close()
        server.kill()


def test_a_refusal_that_comes_before_anybody_waits_for_it_counts(monkeypatch, authority):
    real = Session._running

    def late(session):
        client, handler = real(session)
        deadline = time.monotonic() + 5
        while not handler.refused and time.monotonic() < deadline:
            time.sleep(0.01)
        return client, handler

    monkeypatch.setattr(Session, "_running", late)
    monkeypatch.setenv("SEALPIPE_ZK_CACERT", str(authority.certificate))
    with socket.create_server(("127.0.0.1", 0)) as plain:  # the first connection is answered, no other is
        threading.Thread(target=lambda: plain.accept()[0].sendall(b"no TLS\n"), daemon=True).start()
        store, _ = open_store(f"zk+tls://127.0.0.1:{plain.getsockname()[1]}/shop", base="/")
        started = time.monotonic()
        with pytest.raises(UnavailableError):
            store.get("dev/heads/a", timeout=5)
        store.close()
    assert time.monotonic() - started < 4


# ---- a server that is away


def test_nobody_there_is_said_at_once(open_zk):
    store = open_zk(address=f"127.0.0.1:{free_ports(1)[0]}")
    for _ in range(2):
        started = time.monotonic()
        with pytest.raises(UnavailableError) as caught:
            store.get("dev/heads/a", timeout=10)
        assert time.monotonic() - started < 3
        assert "refused" in str(caught.value)
    with pytest.raises(UnavailableError) as caught:
        open_zk(address="no-such-host.invalid").get("dev/heads/a", timeout=10)
    assert "no-such-host.invalid" in str(caught.value)


def test_a_server_that_is_silent_costs_no_more_than_the_timeout(open_zk, zookeeper):
    proxy = Proxy(zookeeper.address)
    try:
        proxy.arm(Fault("black-hole", 1))
        store = open_zk(address=proxy.address)
        for action in (
            lambda: store.get("dev/heads/a", timeout=0.7),
            lambda: store.keys("", timeout=0.7),
            lambda: store.write([Put("dev/heads/a", b"", None)], timeout=0.7),
        ):
            started = time.monotonic()
            with pytest.raises(UnavailableError):
                action()
            assert time.monotonic() - started < 2
        started = time.monotonic()
        store.close()
        assert time.monotonic() - started < 1.5
    finally:
        proxy.close()


def test_a_write_without_an_answer_is_unknown_and_never_sent_again(open_zk, zookeeper):
    proxy = Proxy(zookeeper.address)
    direct = open_zk()
    direct.write([Put("dev/n", b"0", ABSENT)])
    try:
        for kind, applied in (("reset-reply", True), ("black-hole-reply", True), ("reset", False)):
            store = open_zk(address=proxy.address)
            before = store.get("dev/n")
            number = b"%d" % (int(before.value) + 1)
            proxy.arm(Fault(kind, 2))  # the first looks at the key
            with pytest.raises(OutcomeUnknownError):
                store.write([Put("dev/n", number, before.version)], timeout=1.0)
            proxy.heal()
            time.sleep(0.3)
            assert direct.get("dev/n", fresh=True).value == (number if applied else before.value)
            assert store.get("dev/n", fresh=True).value == direct.get("dev/n", fresh=True).value
            store.close()
    finally:
        proxy.close()


def test_a_waiting_reader_outlives_a_restart(server_folder):
    server = start_zookeeper(server_folder)
    url = f"zk://{server.address}/shop"
    reader, writer = open_store(url, base="/")[0], open_store(url, base="/")[0]
    try:
        writer.write([Put("dev/heads/a", b"1", ABSENT)])
        before = reader.get("dev/heads/a").version
        woken, ended = threading.Event(), threading.Event()

        def wait():
            while not ended.is_set():
                with suppress(StoreError):
                    if reader.wait("dev/heads/a", before, timeout=30):
                        woken.set()
                        return

        waiter = threading.Thread(target=wait, daemon=True)
        waiter.start()
        time.sleep(0.3)
        server.restart()
        time.sleep(0.3)
        assert not woken.is_set()
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:  # the writer's own connection was lost too
            with suppress(UnavailableError):
                writer.write([Put("dev/heads/a", b"2", before)])
                break
        assert woken.wait(5)
        assert reader.get("dev/heads/a").value == b"2"
        ended.set()
        waiter.join(2)
    finally:
        reader.close()
        writer.close()
        server.kill()


def test_a_lost_session_is_replaced_under_a_waiting_reader(open_zk, zookeeper):
    writer, reader = open_zk(), open_zk()
    writer.write([Put("dev/heads/a", b"1", ABSENT)])
    before = reader.get("dev/heads/a").version
    woken = threading.Event()
    waiter = threading.Thread(
        target=lambda: reader.wait("dev/heads/a", before, timeout=30) and woken.set(), daemon=True
    )
    waiter.start()
    time.sleep(0.2)
    lost = reader._session._client.client_id
    thief = KazooClient(zookeeper.address, client_id=lost)  # whoever closes a session ends it for all
    thief.start(timeout=20)
    thief.stop()
    thief.close()
    time.sleep(0.5)
    assert not woken.is_set()
    writer.write([Put("dev/heads/a", b"2", before)])
    assert woken.wait(5)
    assert reader.get("dev/heads/a").value == b"2"
    assert reader._session._client.client_id != lost


def test_a_slow_answer_costs_neither_connection_nor_session(server_folder):
    """A machine with too much to do would have the more to do for it."""
    server = start_zookeeper(server_folder)
    store = open_store(f"zk://{server.address}/shop", base="/")[0]
    try:
        store.write([Put("dev/heads/a", b"1", ABSENT)])
        client = store._session._client
        session = client.client_id
        server.pause()
        with pytest.raises(UnavailableError):
            store.get("dev/heads/a", timeout=0.3)
        server.resume()
        assert store.get("dev/heads/a").value == b"1"
        assert store._session._client is client
        assert client.client_id == session
        assert store._session.losses == 0
    finally:
        store.close()
        server.kill()


def test_a_watch_keeps_its_connection_while_the_server_is_away(server_folder):
    server = start_zookeeper(server_folder)
    url = f"zk://{server.address}/shop"
    watch = Watch(url, Unit("dev", "orders"), threading.Event())
    try:
        with pytest.raises(ConfigError):
            watch.read(5.0)  # nothing is published there
        watch._mark_read = ("dev/heads/orders", ABSENT)
        store = watch._store
        server.kill()
        started = time.monotonic()
        watch.wait(1.0)
        assert time.monotonic() - started < 3
        assert watch._store is store
        server.restart()
        watch.wait(0.5)
        assert watch._store is store
    finally:
        watch.let_go()
        server.kill()


def test_bytes_that_are_no_zookeepers(open_zk, consul_like):
    store = open_zk(address=consul_like)
    started = time.monotonic()
    with pytest.raises(UnavailableError):
        store.get("dev/heads/a", timeout=1.5)
    assert time.monotonic() - started < 3


@pytest.fixture
def consul_like():
    """A server that answers everything with a page of HTML."""
    import socket

    listener = socket.create_server(("127.0.0.1", free_ports(1)[0]))

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with suppress(OSError):
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n<html>no</html>" * 10)

    threading.Thread(target=serve, daemon=True).start()
    yield f"127.0.0.1:{listener.getsockname()[1]}"
    listener.close()


# ---- one process


def test_close_ends_the_threads(open_zk):
    before = set(threading.enumerate())
    store = open_zk()
    store.write([Put("dev/heads/a", b"1", ABSENT)])
    store.wait("dev/heads/a", store.get("dev/heads/a").version, timeout=0.1)
    assert set(threading.enumerate()) - before
    store.close()
    deadline = time.monotonic() + 2
    while set(threading.enumerate()) - before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not set(threading.enumerate()) - before
    with pytest.raises(UnavailableError):
        store.get("dev/heads/a")


def test_a_connection_is_one_thread(open_zk):
    before = set(threading.enumerate())
    store = open_zk()
    store.write([Put("dev/heads/a", b"1", ABSENT)])
    assert store.wait("dev/heads/a", store.get("dev/heads/a").version, timeout=0.1) is False
    assert len(set(threading.enumerate()) - before) == 1


def test_many_connections_of_a_process_take_turns(open_zk):
    writer, readers = open_zk(), [open_zk() for _ in range(40)]
    writer.write([Put("dev/heads/a", b"1", ABSENT)])
    versions = [reader.get("dev/heads/a", fresh=True).version for reader in readers]
    seen = []

    def follow(reader, version):
        reader.wait("dev/heads/a", version, timeout=20)
        seen.append(reader.get("dev/heads/a").value)

    threads = [
        threading.Thread(target=follow, args=pair, daemon=True)
        for pair in zip(readers, versions, strict=True)
    ]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    writer.write([Put("dev/heads/a", b"2", versions[0])])
    for thread in threads:
        thread.join(20)
    assert seen == [b"2"] * len(readers)
    assert _turn.lock.acquire(timeout=2)  # nobody sleeps on it
    _turn.lock.release()


def test_who_hangs_in_its_turn_stops_no_other(open_zk):
    store = open_zk()
    store.write([Put("dev/heads/a", b"1", ABSENT)])
    hanging = _turn.take()
    try:
        assert store.get("dev/heads/a", timeout=5).value == b"1"
        assert _turn.lock is not hanging
    finally:
        hanging.release()


def test_a_fork_while_a_connection_has_its_turn(open_zk):
    store = open_zk()
    store.write([Put("dev/heads/a", b"1", ABSENT)])
    assert _turn.lock.acquire(timeout=2)
    child = os.fork()
    if not child:
        code = 1
        with suppress(BaseException):
            code = 0 if store.get("dev/heads/a", timeout=5).value == b"1" else 1
            store.close()
        os._exit(code)
    _turn.lock.release()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_forked_child_has_a_connection_of_its_own(open_zk):
    store = open_zk()
    store.write([Put("dev/heads/a", b"parent", ABSENT)])
    child = os.fork()
    if not child:  # nothing here may raise into pytest
        code = 1
        with suppress(BaseException):
            entry = store.get("dev/heads/a", timeout=5)
            store.write([Put("dev/heads/a", entry.value + b" and child", entry.version)], timeout=5)
            store.close()
            code = 0
        os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert store.get("dev/heads/a", fresh=True).value == b"parent and child"


# ---- URL and environment


@pytest.mark.parametrize(
    "url",
    [
        "zk:",
        "zk:///shop",
        "zk://a b/shop",
        "zk://zk1:port/shop",
        "zk://zk1/zookeeper/quota",
        "zk://zk1/../x",
        "zk://zk1/a//b",
        "zk://zk1/shop?reed=sasl:a",
        "zk://zk1/shop?read=orders",
        "zk://zk1/shop?read=",
        "zk://zk1/shop?acl=creator",
        "zk://zk1/shop?acl=none",
        "zk+tls://zk1;zk2/shop",
    ],
)
def test_urls_that_are_none(url):
    with pytest.raises(UsageError) as caught:
        open_store(url, base="/")
    assert caught.value.word == "bad-store-url"


@pytest.mark.parametrize("login", ["ci:publishing", "digest:ci", "digest::x", "kerberos:a:b"])
def test_logins_that_are_none_are_not_repeated(login, monkeypatch):
    monkeypatch.setenv("SEALPIPE_ZK_AUTH", login)
    with pytest.raises(UsageError) as caught:
        open_store("zk://zk1/shop", base="/")
    assert caught.value.word == "bad-store-login"
    assert login not in str(caught.value)


def test_a_login_does_not_print(monkeypatch):
    from sealpipe.stores.zk.place import parse_place

    place = parse_place("zk://zk1/shop", {"SEALPIPE_ZK_AUTH": "digest:ci:hunter2"})
    assert place.login.credential == "ci:hunter2"
    assert "hunter2" not in f"{place} {place!r} {place.login}"
    assert place.hosts == ("zk1:2181",)


def test_without_kazoo(monkeypatch):
    import sealpipe.stores.zk as module

    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(UnsupportedError) as caught:
        open_store("zk://zk1/shop", base="/")
    assert caught.value.word == "missing-package"
    assert "pip install 'sealpipe[zookeeper]'" in str(caught.value)

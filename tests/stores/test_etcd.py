"""etcd beyond the contract, on the real one: rights, tokens, TLS, quota, compaction, restarts."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat, PublicFormat
from tests.stores.pages import policy
from tests.stores.test_consul import answering, woken

from sealpipe.errors import (
    DeniedError,
    FullError,
    MalformedError,
    OutcomeUnknownError,
    StoreError,
    TooLargeError,
    UnavailableError,
    UnsupportedError,
    UsageError,
)
from sealpipe.stores.base import ABSENT, Delete, Put, Store
from sealpipe.stores.etcd.answers import json_of, tells, told
from sealpipe.stores.etcd.place import parse_place
from sealpipe.stores.http import Answer
from sealpipe.stores.registry import open_store
from servers import programs
from servers.certificates import Authority
from servers.etcd import PASSWORD, call, start_etcd, token_of
from servers.fixtures import need
from servers.processes import Cluster, Running


def store_at(address: str, scheme: str = "etcd") -> Store:
    return open_store(f"{scheme}://{address}/", base="/")[0]


HEAD, CHUNK = "config/dev/heads/checkout", "config/dev/chunks/checkout/1/0"


# ---- rights


def paste(server: Running, commands: str) -> None:
    """Runs what the guide gives to paste, with the real etcdctl."""
    need("etcdctl")
    environ = {
        "PATH": os.environ["PATH"],
        "ETCDCTL_ENDPOINTS": server.url,
        "ETCDCTL_USER": f"root:{PASSWORD}",
    }
    for line in commands.strip().splitlines():
        words = shlex.split(line)
        assert words[0] == "etcdctl"
        command = [str(programs.find("etcdctl")), *words[1:]]
        subprocess.run(command, env=environ, check=True, capture_output=True, timeout=30)


def test_the_roles_of_the_guide(etcd_users: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, role in (("publisher", "config-dev-publisher"), ("reader", "config-dev-checkout")):
        paste(etcd_users, policy("etcd.md", name))
        paste(etcd_users, f"etcdctl user add {name}:pw-{name}\netcdctl user grant-role {name} {role}")
    monkeypatch.setenv("ETCDCTL_USER", "publisher")
    monkeypatch.setenv("ETCDCTL_PASSWORD", "pw-publisher")
    publisher = store_at(etcd_users.address)
    publisher.write([Put(HEAD, b"1", None), Put(CHUNK, b"2", None), Put("config/dev/state", b"3", None)])
    assert publisher.keys("config/dev/") == [CHUNK, HEAD, "config/dev/state"]
    with pytest.raises(DeniedError):
        publisher.write([Put("config/production/heads/checkout", b"1", None)])
    monkeypatch.setenv("ETCDCTL_USER", "reader:pw-reader")
    reader = store_at(etcd_users.address)
    head = reader.get(HEAD)
    assert head is not None
    assert head.value == b"1"
    assert reader.get(CHUNK) is not None
    assert not reader.wait(HEAD, head.version, timeout=0.3)
    for op in (Put(HEAD, b"x", None), Put(CHUNK, b"x", None), Delete(HEAD)):
        with pytest.raises(DeniedError):
            reader.write([op])
    for key in ("config/dev/heads/other", "config/dev/state"):
        with pytest.raises(DeniedError) as caught:
            reader.get(key)
        assert "docs/guides/etcd.md" in str(caught.value)


@pytest.mark.parametrize("user", ["", "nobody:x", "root:wrong-password"])
def test_no_user_and_a_wrong_one(etcd_users: Running, monkeypatch: pytest.MonkeyPatch, user: str) -> None:
    monkeypatch.setenv("ETCDCTL_USER", user)
    for action in (lambda store: store.get("a"), lambda store: store.write([Put("a", b"1", None)])):
        with pytest.raises(DeniedError) as caught:
            action(store_at(etcd_users.address))
        assert "wrong-password" not in str(caught.value)


def test_a_token_that_expired_is_renewed(server_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need("etcd")
    server = start_etcd(server_folder, users=True, more=("--auth-token-ttl", "1"))
    try:
        monkeypatch.setenv("ETCDCTL_USER", f"root:{PASSWORD}")
        store = store_at(server.address)
        store.write([Put("a", b"1", ABSENT)])
        time.sleep(3.5)
        store.write([Put("a", b"2", None)])
        entry = store.get("a")
        assert entry is not None
        assert entry.value == b"2"
    finally:
        server.kill()


def test_a_user_for_a_server_without_users(server_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As etcdctl: it is let in, and its user counts as soon as users are switched on."""
    need("etcd")
    server = start_etcd(server_folder)
    try:
        monkeypatch.setenv("ETCDCTL_USER", f"root:{PASSWORD}")
        store = store_at(server.address)
        store.write([Put("a", b"1", ABSENT)])
        call(server, "/v3/auth/user/add", {"name": "root", "password": PASSWORD})
        call(server, "/v3/auth/user/grant", {"user": "root", "role": "root"})
        call(server, "/v3/auth/enable", {})
        store.write([Put("a", b"2", None)])
        entry = store.get("a")
        assert entry is not None
        assert entry.value == b"2"
    finally:
        server.kill()


def test_a_signed_token_older_than_the_rights(server_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A JWT holds the revision of the rights; any change of them makes it invalid, long before its end."""
    need("etcd")
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem, public = server_folder / "key.pem", server_folder / "public.pem"
    pem.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    )
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    signed = f"jwt,pub-key={public},priv-key={pem},sign-method=RS256,ttl=10m"
    server = start_etcd(server_folder, users=True, more=("--auth-token", signed))
    try:
        monkeypatch.setenv("ETCDCTL_USER", f"root:{PASSWORD}")
        store = store_at(server.address)
        store.write([Put("a", b"1", ABSENT)])
        call(server, "/v3/auth/user/add", {"name": "ben", "password": "b"}, token_of(server))
        store.write([Put("a", b"2", None)])
        call(server, "/v3/auth/user/add", {"name": "cara", "password": "c"}, token_of(server))
        entry = store.get("a")
        assert entry is not None
        assert entry.value == b"2"
    finally:
        server.kill()


# ---- limits and space


def test_limits_are_counted_before_anything_is_sent() -> None:
    nowhere = store_at("127.0.0.1:1")
    with pytest.raises(TooLargeError):
        nowhere.write([Put("a", bytes(1024 * 1024 + 1), None)])
    with pytest.raises(TooLargeError):
        nowhere.write([Put(f"a{n}", bytes(800_000), None) for n in range(2)])
    with pytest.raises(TooLargeError):
        nowhere.write([Put(f"a{n}", b"", None) for n in range(129)])
    with pytest.raises(UnavailableError, match="connection refused"):
        nowhere.write([Put("a", b"1", None)])


def test_the_largest_writes_are_taken(etcd: Running, etcd_old: Running, store_prefix: str) -> None:
    for server in (etcd, etcd_old):
        store = store_at(server.address)
        store.write([Put(f"{store_prefix}big", bytes(store.limits.value), None)])
        store.write([Put(f"{store_prefix}{n}", b"", None) for n in range(128)])
        store.write([Put(f"{store_prefix}{n}", bytes(690_000), None) for n in range(2)])
        assert len(list(store.scan(store_prefix))) == 129


def test_what_size_allows_is_taken(etcd: Running, etcd_old: Running, store_prefix: str) -> None:
    """Publishing packs a request by `size` alone: nothing that it allows may be refused later."""
    for server in (etcd, etcd_old):
        store = store_at(server.address)
        for count in (2, 12, 64):
            keys = [f"{store_prefix}{count}/{'k' * 200}/{n:02}" for n in range(count)]
            spare = store.limits.request - store.size([Put(key, b"", ABSENT) for key in keys])
            full = [Put(key, bytes(spare // count // 4 * 3), ABSENT) for key in keys]
            assert store.limits.request - 4 * count <= store.size(full) <= store.limits.request
            store.write(full)
            with pytest.raises(TooLargeError):
                store.write([*full, Put(f"{store_prefix}more", bytes(4 * count), ABSENT)])


def _fill(store: Store) -> None:
    for number in range(64):
        store.write([Put(f"a{number}", os.urandom(512 * 1024), None)])


def test_a_full_database_says_so(server_folder: Path) -> None:
    need("etcd")
    server = start_etcd(server_folder, more=("--quota-backend-bytes", str(8 * 1024 * 1024)))
    try:
        store = store_at(server.address)
        with pytest.raises(FullError) as caught:
            _fill(store)
        assert "defrag" in str(caught.value)
        assert store.get("a0") is not None
    finally:
        server.kill()


# ---- time


def test_compaction_under_a_waiting_reader(etcd: Running, store_prefix: str) -> None:
    store, key = store_at(etcd.address), f"{store_prefix}head"
    store.write([Put(key, b"1", ABSENT)])
    entry = store.get(key)
    assert entry is not None
    took = woken(store_at(etcd.address), key, entry.version, 30)
    for number in range(20):
        store.write([Put(f"{store_prefix}other", b"%d" % number, None)])
    revision = call(etcd, "/v3/kv/range", {"key": "YQ=="})["header"]["revision"]  # type: ignore[index]
    call(etcd, "/v3/kv/compaction", {"revision": revision})
    store.write([Put(key, b"2", entry.version)])
    took()


def test_a_scan_survives_a_compaction(etcd: Running, store_prefix: str) -> None:
    store = store_at(etcd.address)
    for at in range(0, 500, 100):
        store.write([Put(f"{store_prefix}{n:03}", b"x", ABSENT) for n in range(at, at + 100)])
    found = []
    for entry in store.scan(store_prefix):
        if len(found) == 10:
            revision = call(etcd, "/v3/kv/range", {"key": "YQ=="})["header"]["revision"]  # type: ignore[index]
            call(etcd, "/v3/kv/compaction", {"revision": revision})
        found.append(entry.key)
    assert len(found) == 500
    assert found == sorted(found)


def test_a_restart_under_a_waiting_reader(server_folder: Path) -> None:
    need("etcd")
    server = start_etcd(server_folder)
    try:
        store = store_at(server.address)
        store.write([Put("dev/heads/a", b"1", None)])
        entry = store.get("dev/heads/a")
        assert entry is not None
        took = woken(store_at(server.address), "dev/heads/a", entry.version, 60)
        time.sleep(0.2)
        server.kill()
        server.restart()
        store.write([Put("dev/heads/a", b"2", entry.version)])
        took()
    finally:
        server.kill()


def test_a_paused_server_under_a_waiting_reader(server_folder: Path) -> None:
    """No answer and no end of the connection: the wait ends in its time, and the next one has the news."""
    need("etcd")
    server = start_etcd(server_folder)
    try:
        store = store_at(server.address)
        store.write([Put("a", b"1", None)])
        entry = store.get("a")
        assert entry is not None
        threading.Timer(0.5, server.pause).start()
        began = time.monotonic()
        assert not store.wait("a", entry.version, timeout=1.5)
        assert 1.0 < time.monotonic() - began < 2.5
        with pytest.raises(UnavailableError):
            store.get("a", timeout=0.5)
        with pytest.raises(UnavailableError):
            store.wait("a", entry.version, timeout=0.5)
        server.resume()
        store.write([Put("a", b"2", entry.version)])
        assert store.wait("a", entry.version, timeout=5)
    finally:
        server.kill()


def test_one_of_three_is_dead(etcd_cluster: Cluster, store_prefix: str) -> None:
    addresses = ",".join(["127.0.0.1:1", *(node.address for node in etcd_cluster.nodes)])
    store = store_at(addresses)
    store.write([Put(f"{store_prefix}a", b"1", ABSENT)])
    entry = store.get(f"{store_prefix}a")
    assert entry is not None
    assert not store.wait(f"{store_prefix}a", entry.version, timeout=0.2)


# ---- TLS


@contextlib.contextmanager
def relayed(port: int) -> Iterator[str]:
    """127.0.0.2, handing one connection on to a port of 127.0.0.1."""
    with socket.create_server(("127.0.0.2", 0)) as listener:

        def copy(source: socket.socket, target: socket.socket) -> None:
            with contextlib.suppress(OSError):
                while data := source.recv(65536):
                    target.sendall(data)

        def serve() -> None:
            with contextlib.suppress(OSError):
                near, _ = listener.accept()
                far = socket.create_connection(("127.0.0.1", port))
                with near, far:
                    threading.Thread(target=copy, args=(far, near), daemon=True).start()
                    copy(near, far)

        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.2:{listener.getsockname()[1]}"


def test_tls_is_checked(server_folder: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    need("etcd")
    server = start_etcd(server_folder, tls=authority, client_certificate=True)
    try:
        with pytest.raises(UnavailableError, match="certificate"):
            store_at(server.address, "etcd+https").get("a")
        monkeypatch.setenv("ETCDCTL_CACERT", str(authority.certificate))
        with pytest.raises(StoreError):  # it asks for ours
            store_at(server.address, "etcd+https").write([Put("a", b"1", ABSENT)])
        for name in ("ETCDCTL_CERT", "ETCDCTL_KEY"):
            monkeypatch.setenv(name, server.environ[name])
        store = store_at(server.address, "etcd+https")
        store.write([Put("a", b"1", ABSENT)])
        assert store.get("a") is not None
        with pytest.raises(UnavailableError):
            store_at(server.address).get("a")
    finally:
        server.kill()


def test_another_name_is_not_believed(
    server_folder: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The certificate names localhost and 127.0.0.1; 127.0.0.2 is the same machine under another name."""
    need("etcd")
    server = start_etcd(server_folder, tls=authority)
    try:
        monkeypatch.setenv("ETCDCTL_CACERT", str(authority.certificate))
        port = server.address.rpartition(":")[2]
        with relayed(int(port)) as address, pytest.raises(UnavailableError, match="certificate"):
            store_at(address, "etcd+https").get("a")
        assert store_at(f"localhost:{port}", "etcd+https").get("a") is None
    finally:
        server.kill()


def test_another_authority_is_not_believed(
    server_folder: Path, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need("etcd")
    from servers.certificates import make_authority

    server = start_etcd(server_folder, tls=authority)
    try:
        (tmp_path / "other").mkdir()
        monkeypatch.setenv("ETCDCTL_CACERT", str(make_authority(tmp_path / "other").certificate))
        with pytest.raises(UnavailableError, match="certificate"):
            store_at(server.address, "etcd+https").get("a")
    finally:
        server.kill()


def test_the_token_is_asked_for_anew_when_users_are_switched_on(
    server_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need("etcd")
    server = start_etcd(server_folder, users=True)
    try:
        assert token_of(server)
        monkeypatch.setenv("ETCDCTL_USER", f"root:{PASSWORD}")
        store = store_at(server.address)
        store.write([Put("a", b"1", ABSENT)])
        server.kill()
        server.restart()  # simple tokens live in memory
        store.write([Put("a", b"2", None)])
    finally:
        server.kill()


# ---- answers


def test_a_server_without_its_gateway_says_which_option(server_folder: Path) -> None:
    need("etcd")
    server = start_etcd(server_folder, more=("--enable-grpc-gateway=false",))
    try:
        for action in (
            lambda store: store.get("a"),
            lambda store: store.write([Put("a", b"1", None)]),
            lambda store: store.wait("a", ABSENT, timeout=1),
        ):
            with pytest.raises(UnsupportedError) as caught:
                action(store_at(server.address))
            assert "--enable-grpc-gateway" in str(caught.value)
    finally:
        server.kill()


@pytest.mark.parametrize(
    ("status", "code", "message", "kind"),
    [
        (429, 8, "etcdserver: too many requests", UnavailableError),
        (429, 8, "etcdserver: mvcc: database space exceeded", FullError),
        (429, 8, "grpc: received message larger than max (9 vs. 4)", TooLargeError),
        (400, 3, "etcdserver: request is too large", TooLargeError),
        (503, 14, "etcdserver: no leader", UnavailableError),
        (403, 7, "etcdserver: permission denied", DeniedError),
        (
            503,
            14,
            "etcdserver: request timed out, possibly due to previous leader failure",
            OutcomeUnknownError,
        ),
        (408, 1, "context canceled", OutcomeUnknownError),
        (499, 1, "context canceled", OutcomeUnknownError),
        (500, 2, "raft proposal dropped", OutcomeUnknownError),
    ],
)
def test_what_a_refused_write_is(status: int, code: int, message: str, kind: type[StoreError]) -> None:
    body = json.dumps({"code": code, "message": message}).encode()
    with answering((status, {}, body)) as address, pytest.raises(StoreError) as caught:
        store_at(address).write([Put("a", b"1", None)])
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (503, b'{"code": 14, "message": "etcdserver: leader changed"}'),
        (504, b'{"code": 4, "message": "context deadline exceeded"}'),
        (200, b"<html>hunter2</html>"),
        (200, b"{}"),
        (200, b"[]"),
    ],
)
def test_what_a_server_says_to_a_write(status: int, body: bytes) -> None:
    with answering((status, {}, body)) as address, pytest.raises(StoreError) as caught:
        store_at(address).write([Put("a", b"hunter2", None)])
    assert "hunter2" not in str(caught.value)
    # Only what certainly comes before anything is done may be told as a failure.
    assert isinstance(caught.value, OutcomeUnknownError)


@pytest.mark.parametrize(
    "url",
    ["etcd:", "etcd://", "etcd:/p", "etcd://u:p@h/p", "etcd://h/p?x=1", "etcd://h:x/p"],
)
def test_urls_that_are_none(url: str) -> None:
    with pytest.raises(UsageError):
        open_store(url, base="/")


@pytest.mark.parametrize(
    ("url", "endpoints", "addresses", "secure"),
    [
        ("etcd:///p", "", ["127.0.0.1:2379"], False),
        ("etcd:///p", "a:1, b", ["a:1", "b:2379"], False),
        ("etcd:///p", "http://a:1/,http://b", ["a:1", "b:2379"], False),
        ("etcd:///p", "https://a:1,https://b:2", ["a:1", "b:2"], True),
        ("etcd+https:///p", "a:1", ["a:1"], True),
        ("etcd+https:///p", "http://a:1", ["a:1"], True),  # what was asked for anywhere is not taken back
        ("etcd://c/p", "https://a:1", ["c:2379"], False),
    ],
)
def test_where_variables_lead(url: str, endpoints: str, addresses: list[str], secure: bool) -> None:
    found = parse_place(url, {"ETCDCTL_ENDPOINTS": endpoints} if endpoints else {})
    assert (found.addresses, found.secure, found.prefix) == (addresses, secure, "p/")


@pytest.mark.parametrize(
    "endpoints", ["http://a,https://b", "unix://a", "http://u:hunter2@a:1", "a b", "a,b/c"]
)
def test_endpoints_that_are_none_are_not_repeated(endpoints: str) -> None:
    with pytest.raises(UsageError, match="ETCDCTL_ENDPOINTS is no list") as caught:
        parse_place("etcd:///p", {"ETCDCTL_ENDPOINTS": endpoints})
    assert "hunter2" not in str(caught.value)


def test_servers_and_a_password_that_only_the_environment_names(
    etcd_users: Running, store_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "password"
    file.write_text(PASSWORD + "\n")
    monkeypatch.setenv("ETCDCTL_ENDPOINTS", etcd_users.url)
    monkeypatch.setenv("ETCDCTL_USER", "root")
    monkeypatch.delenv("ETCDCTL_PASSWORD", raising=False)
    monkeypatch.setenv("SEALPIPE_ETCD_PASSWORD_FILE", str(file))
    store, prefix = open_store(f"etcd:///{store_prefix}", base="/")
    store.write([Put(f"{prefix}a", b"1", ABSENT)])
    found = store.get(f"{prefix}a")
    assert found is not None
    assert found.value == b"1"
    monkeypatch.setenv("ETCDCTL_PASSWORD", "wrong")  # etcdctl's own comes first
    with pytest.raises(DeniedError, match="password is another"):
        open_store(f"etcd:///{store_prefix}", base="/")[0].get("a")
    monkeypatch.delenv("ETCDCTL_PASSWORD")
    monkeypatch.setenv("SEALPIPE_ETCD_PASSWORD_FILE", str(tmp_path / "nothing"))
    with pytest.raises(UsageError, match="SEALPIPE_ETCD_PASSWORD_FILE"):
        open_store(f"etcd:///{store_prefix}", base="/")
    place = parse_place("etcd://h/p", {"ETCDCTL_USER": f"root:{PASSWORD}"})
    assert PASSWORD not in repr(place) + str(place)


def test_an_answer_without_an_end_of_brackets_is_none() -> None:
    deep = Answer(200, {}, b"[" * 200_000)
    with pytest.raises(MalformedError):
        json_of(deep, writes=False)
    with pytest.raises(OutcomeUnknownError):
        json_of(deep, writes=True)
    assert told(deep) == (0, "")
    assert tells(deep.body)

"""Consul beyond the contract, on the real one: rights, limits, restarts, restores, TLS."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import urllib3
from tests.stores.pages import policy

from sealpipe.errors import (
    ConflictError,
    DeniedError,
    MalformedError,
    OutcomeUnknownError,
    StoreError,
    TooLargeError,
    UnavailableError,
    UnsupportedError,
    UsageError,
)
from sealpipe.stores.base import ABSENT, Check, Delete, Put, Store
from sealpipe.stores.consul import ConsulStore
from sealpipe.stores.consul.place import parse_place
from sealpipe.stores.http import Http
from sealpipe.stores.registry import open_store
from servers.certificates import Authority
from servers.consul import TOKEN, start_consul
from servers.fixtures import need
from servers.processes import Running


def store_at(address: str, scheme: str = "consul") -> Store:
    return open_store(f"{scheme}://{address}/", base="/")[0]


def call(server: Running, method: str, path: str, body: Any = None, token: str = TOKEN) -> Any:
    pool = urllib3.PoolManager(retries=False, timeout=10.0)
    data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    done = pool.request(method, server.url + path, body=data, headers={"X-Consul-Token": token})
    assert done.status == 200, done.data
    return done.data


# ---- rights


def token_with(server: Running, name: str) -> str:
    rules = policy("consul.md", name)
    made = call(server, "PUT", "/v1/acl/policy", {"Name": f"{name}-{time.time_ns()}", "Rules": rules})
    wanted = {"Policies": [{"ID": json.loads(made)["ID"]}]}
    return str(json.loads(call(server, "PUT", "/v1/acl/token", wanted))["SecretID"])


HEAD, CHUNK = "config/dev/heads/checkout", "config/dev/chunks/checkout/1/0"


def test_the_policies_of_the_guide(consul_acl: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSUL_HTTP_TOKEN", token_with(consul_acl, "publisher"))
    publisher = store_at(consul_acl.address)
    publisher.write([Put(HEAD, b"1", None), Put(CHUNK, b"2", None), Put("config/dev/state", b"3", None)])
    assert publisher.keys("config/dev/") == [CHUNK, HEAD, "config/dev/state"]
    elsewhere = Put("config/production/heads/checkout", b"1", None)
    for ops in ([elsewhere], [elsewhere, Put(HEAD, b"x", None)]):
        with pytest.raises(DeniedError, match=f"lacks key:write on {elsewhere.key}"):
            publisher.write(ops)
    monkeypatch.setenv("CONSUL_HTTP_TOKEN", token_with(consul_acl, "reader"))
    reader = store_at(consul_acl.address)
    head = reader.get(HEAD)
    assert head is not None
    assert head.value == b"1"
    assert reader.get(CHUNK) is not None
    assert not reader.wait(HEAD, head.version, timeout=0.2)
    for op in (Put(HEAD, b"x", None), Put(CHUNK, b"x", None), Delete(HEAD)):
        with pytest.raises(DeniedError):
            reader.write([op])
    for key in ("config/dev/heads/other", "config/dev/state"):
        found: object = None
        try:
            found = reader.get(key)
        except DeniedError:
            found = None
        assert found is None
    publisher.write([Delete(HEAD), Delete(CHUNK), Delete("config/dev/state")])


def test_no_token_and_a_wrong_one(consul_acl: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DeniedError) as caught:
        store_at(consul_acl.address).write([Put("a", b"1", None)])
    assert "docs/guides/consul.md" in str(caught.value)
    wrong = "5ea1b1be-0000-4000-8000-0000000bad00"
    monkeypatch.setenv("CONSUL_HTTP_TOKEN", wrong)
    for ask in (
        lambda store: store.get("a"),
        lambda store: store.write([Put("a", b"1", None)]),
        lambda store: store.write([Put("a", b"1", None), Put("b", b"1", None)]),
    ):
        with pytest.raises(DeniedError, match="does not know the token") as caught:
            ask(store_at(consul_acl.address))
        assert wrong not in str(caught.value)


def test_what_may_not_be_read_is_no_empty_store(consul_acl: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Consul leaves out of a list what a token may not read, and says nothing of it."""
    monkeypatch.setenv("CONSUL_HTTP_TOKEN", TOKEN)
    owner = store_at(consul_acl.address)
    keys = ["config/dev/heads/checkout", "config/dev/heads/search"]
    owner.write([Put(key, b"1", None) for key in keys])
    monkeypatch.delenv("CONSUL_HTTP_TOKEN")
    stores = [store_at(consul_acl.address)]
    monkeypatch.setenv("CONSUL_HTTP_TOKEN", token_with(consul_acl, "reader"))
    stores.append(store_at(consul_acl.address))  # its list would have one of the two
    for store in stores:
        for listed in (store.keys, lambda prefix, store=store: list(store.scan(prefix))):
            with pytest.raises(DeniedError, match="lacks key:read on config/dev/heads/"):
                listed("config/dev/heads/")
    monkeypatch.setenv("CONSUL_HTTP_TOKEN", token_with(consul_acl, "publisher"))
    publisher = store_at(consul_acl.address)
    assert publisher.keys("config/dev/heads/") == keys
    assert publisher.keys("config/dev/chunks/") == []
    owner.write([Delete(key) for key in keys])


def test_a_token_from_a_file(consul_acl: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text(TOKEN + "\n")
    monkeypatch.setenv("CONSUL_HTTP_TOKEN_FILE", str(tmp_path / "token"))
    store_at(consul_acl.address).get("a")
    monkeypatch.setenv("CONSUL_HTTP_TOKEN_FILE", str(tmp_path / "nothing"))
    with pytest.raises(UsageError, match="CONSUL_HTTP_TOKEN_FILE"):
        store_at(consul_acl.address)
    (tmp_path / "token").write_text("two\nlines")
    monkeypatch.setenv("CONSUL_HTTP_TOKEN_FILE", str(tmp_path / "token"))
    with pytest.raises(UsageError, match="holds what no token does") as caught:
        store_at(consul_acl.address)
    assert "two" not in str(caught.value)


# ---- limits


def test_limits_are_counted_before_anything_is_sent() -> None:
    nowhere = store_at("127.0.0.1:1")
    with pytest.raises(TooLargeError):
        nowhere.write([Put("a", bytes(400 * 1024), None)])
    with pytest.raises(TooLargeError):
        nowhere.write([Put(f"a{n}", bytes(200 * 1024), None) for n in range(2)])
    with pytest.raises(TooLargeError):
        nowhere.write([Put(f"a{n}", b"", None) for n in range(129)])
    with pytest.raises(TooLargeError):  # a delete with an expectation is two operations
        nowhere.write([Delete(f"a{n}", "7") for n in range(65)])
    with pytest.raises(UnavailableError):
        nowhere.write([Put("a", b"1", None)])


def test_the_largest_writes_are_taken(consul: Running, store_prefix: str) -> None:
    store = store_at(consul.address)
    store.write([Put(f"{store_prefix}big", bytes(store.limits.value), None)])
    store.write([Put(f"{store_prefix}{n}", b"", None) for n in range(128)])
    room = store.limits.request - store.size(
        [Put(f"{store_prefix}a", b"", None), Put(f"{store_prefix}b", b"", None)]
    )
    half = bytes(room * 3 // 8 - 8)
    store.write([Put(f"{store_prefix}a", half, None), Put(f"{store_prefix}b", half, None)])
    assert len(list(store.scan(store_prefix))) == 131


def test_fewer_operations_where_the_url_says_so(consul: Running, store_prefix: str) -> None:
    store, prefix = open_store(f"consul://{consul.address}/{store_prefix}?ops=64", base="/")
    assert store.limits.ops == 64
    puts = [Put(f"{prefix}{number}", b"", None) for number in range(65)]
    with pytest.raises(TooLargeError):
        store.write(puts)
    store.write(puts[:64])
    store.write(puts[64:])
    assert len(list(store.scan(prefix))) == 65


def test_one_key_alone_is_written_under_the_same_rules(consul: Running, store_prefix: str) -> None:
    """A single Put is another request of Consul's than several."""
    store, key, other = store_at(consul.address), f"{store_prefix}a", f"{store_prefix}b"
    value = bytes(range(256)) * 512
    store.write([Put(key, value, ABSENT)])
    with pytest.raises(ConflictError, match=key):
        store.write([Put(key, b"x", ABSENT)])
    entry = store.get(key, fresh=True)
    assert entry is not None
    assert entry.value == value
    store.write([Put(key, b"2", entry.version), Put(other, b"2", ABSENT)])
    for stale in (entry.version, "0", "x", "18446744073709551615"):
        with pytest.raises(ConflictError):
            store.write([Put(key, b"x", stale)])
    with pytest.raises(ConflictError):
        store.write([Put(f"{store_prefix}none", b"x", entry.version)])
    store.write([Put(key, b"", None)])
    assert [(one.key, one.value) for one in store.scan(store_prefix)] == [(key, b""), (other, b"2")]


def test_pages_shrink_where_values_are_large(consul: Running, store_prefix: str) -> None:
    store = store_at(consul.address)
    for number in range(20):
        store.write([Put(f"{store_prefix}{number:02}", bytes(200 * 1024), None)])
    assert [len(entry.value) for entry in store.scan(store_prefix)] == [200 * 1024] * 20


# ---- time


def woken(store: Store, key: str, version: str, within: float) -> Callable[[], float]:
    """Waits in a thread; the function that comes back says how long it took."""
    began = time.monotonic()
    done: list[float] = []

    def wait() -> None:
        while not done and time.monotonic() - began < within:
            try:
                if store.wait(key, version, timeout=within):
                    done.append(time.monotonic() - began)
            except StoreError:
                time.sleep(0.05)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()

    def took() -> float:
        thread.join(within)
        assert done, "the change was not noticed"
        return done[0]

    return took


def test_a_restart_under_a_waiting_reader(server_folder: Path) -> None:
    need("consul")
    server = start_consul(server_folder)
    try:
        store = store_at(server.address)
        store.write([Put("dev/heads/a", b"1", None)])
        entry = store.get("dev/heads/a", fresh=True)
        assert entry is not None
        took = woken(store_at(server.address), "dev/heads/a", entry.version, 60)
        server.kill()
        server.restart()
        end = time.monotonic() + 30
        while True:
            try:
                store.write([Put("dev/heads/a", b"2", None)])
                break
            except StoreError:
                assert time.monotonic() < end
                time.sleep(0.2)
        took()
    finally:
        server.kill()


def test_a_restore_under_a_waiting_reader(server_folder: Path) -> None:
    need("consul")
    server = start_consul(server_folder)
    try:
        store = store_at(server.address)
        store.write([Put("dev/heads/a", b"old", None)])
        snapshot = call(server, "GET", "/v1/snapshot")
        for number in range(20):
            store.write([Put("dev/heads/a", b"%d" % number, None)])
        entry = store.get("dev/heads/a", fresh=True)
        assert entry is not None
        took = woken(store_at(server.address), "dev/heads/a", entry.version, 30)
        time.sleep(0.3)
        call(server, "PUT", "/v1/snapshot", snapshot)
        assert took() < 15
        restored = store.get("dev/heads/a", fresh=True)
        assert restored is not None
        assert restored.value == b"old"
        with pytest.raises(ConflictError):
            store.write([Put("dev/heads/a", b"x", entry.version)])
    finally:
        server.kill()


# ---- TLS


def test_tls_is_checked(
    server_folder: Path, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need("consul")
    server = start_consul(server_folder, tls=authority)
    try:
        with pytest.raises(UnavailableError, match="certificate"):
            store_at(server.address, "consul+https").get("a")
        monkeypatch.setenv("CONSUL_CACERT", str(authority.certificate))
        store = store_at(server.address, "consul+https")
        store.write([Put("a", b"1", ABSENT)])
        # As with Consul's tools: TLS that a variable asks for is not taken back by a URL.
        monkeypatch.setenv("CONSUL_HTTP_ADDR", f"https://{server.address}")
        named, _ = open_store("consul:///", base="/")
        assert named.get("a") is not None
        monkeypatch.setenv("CONSUL_HTTP_SSL", "true")
        assert store_at(server.address).get("a") is not None
        (tmp_path / "authorities").mkdir()
        (tmp_path / "authorities" / "a.pem").write_bytes(authority.certificate.read_bytes())
        monkeypatch.delenv("CONSUL_CACERT")
        monkeypatch.setenv("CONSUL_CAPATH", str(tmp_path / "authorities"))
        assert store_at(server.address).get("a") is not None
        monkeypatch.setenv("CONSUL_HTTP_SSL_VERIFY", "false")
        monkeypatch.setenv("CONSUL_TLS_SERVER_NAME", "elsewhere.example")
        with pytest.raises(UnavailableError, match="certificate"):
            store_at(server.address, "consul+https").get("a")
        monkeypatch.setenv("CONSUL_CACERT", str(tmp_path / "nothing.pem"))
        with pytest.raises(UsageError, match="certificates"):
            store_at(server.address, "consul+https").get("a")
    finally:
        server.kill()


# ---- what a real one does not do on demand


@contextmanager
def answering(*answers: tuple[int, dict[str, str], bytes], asked: list[str] | None = None) -> Iterator[str]:
    """A server that gives these answers in turn, the last one for ever; the request lines go to `asked`."""
    left = list(answers)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            if asked is not None:
                asked.append(self.requestline)
            status, headers, body = left[0] if len(left) == 1 else left.pop(0)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT = do_POST = _answer  # noqa: N815

        def log_message(self, *_: object) -> None: ...

    served = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.daemon_threads = True
    threading.Thread(target=served.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"127.0.0.1:{served.server_address[1]}"
    finally:
        served.shutdown()
        served.server_close()


def row(index: int, value: str = "MQ==") -> bytes:
    return json.dumps([{"Key": "a", "Value": value, "ModifyIndex": index}]).encode()


def test_an_index_that_goes_back_begins_anew() -> None:
    def at(index: int) -> dict[str, str]:
        return {"X-Consul-Index": str(index)}

    with answering((200, at(70), row(64)), (200, at(63), row(64)), (200, at(71), row(71))) as address:
        assert store_at(address).wait("a", "64", timeout=5)


@pytest.mark.parametrize("index", ["64", "1"])
def test_a_server_that_holds_nothing_open_is_not_asked_without_a_pause(index: str) -> None:
    asked: list[str] = []
    with answering((200, {"X-Consul-Index": index}, row(64)), asked=asked) as address:
        assert not store_at(address).wait("a", "64", timeout=1.0)
    assert 2 < len(asked) < 15
    assert all("index=0" not in line for line in asked)


LACKS = "Permission denied: token with AccessorID 'acce5507' lacks permission 'key:write' on \\\"config/a\\\""


@pytest.mark.parametrize(
    ("status", "body", "kind", "says"),
    [
        (500, b"No cluster leader", UnavailableError, "no leader"),
        (500, b"rpc error making call: timeout", OutcomeUnknownError, "not known"),
        (502, b"No cluster leader", OutcomeUnknownError, "not known"),
        (504, b"", OutcomeUnknownError, "not known"),
        (408, b"", OutcomeUnknownError, "not known"),
        (429, b"Your IP is issuing too many concurrent connections", UnavailableError, "fewer"),
        (413, b"Transaction contains too many operations (70 > 64)", TooLargeError, "64 operations"),
        (413, b"Request body(600000 bytes) too large", TooLargeError, "size"),
        (400, b"Invalid key name", UnsupportedError, "refuses"),
        (403, LACKS.replace("\\", "").encode(), DeniedError, "the token lacks key:write on config/a"),
        (403, b"ACL not found", DeniedError, "does not know the token"),
        (401, b"", DeniedError, "key:write"),
        (307, b"", UnavailableError, "307"),
        (404, b"not here", UnavailableError, "404"),
        (409, b"<html>", OutcomeUnknownError, "not known"),
        (409, b'{"Errors": []}', OutcomeUnknownError, "not known"),
        (200, b"<html>a portal</html>", OutcomeUnknownError, "not known"),
        (200, b"", OutcomeUnknownError, "not known"),
        (200, b"[" * 100_000, OutcomeUnknownError, "not known"),
        (200, b'{"Results": null, "Errors": [{"OpIndex": 0, "What": "odd"}]}', OutcomeUnknownError, "known"),
    ],
)
def test_what_a_server_says_to_a_write(status: int, body: bytes, kind: type[StoreError], says: str) -> None:
    for ops in ([Put("a", b"hunter2", ABSENT)], [Put("a", b"hunter2", None), Check("b", "7")]):
        with answering((status, {}, body)) as address, pytest.raises(StoreError, match=says) as caught:
            store_at(address).write(ops)
        assert type(caught.value) is kind
        assert "acce5507" not in str(caught.value)
        assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("body", "kind", "says"),
    [
        (b'{"Errors": [{"OpIndex": 1, "What": "index is stale"}]}', ConflictError, "^b is not"),
        (b'{"Errors": [{"OpIndex": 9, "What": "odd"}]}', ConflictError, "^a is not"),
        (
            f'{{"Errors": [{{"OpIndex": 0, "What": "{LACKS}"}}]}}'.encode(),
            DeniedError,
            "key:write on config/a",
        ),
        (b'{"Errors": [{"OpIndex": 0, "What": "ACL not found"}]}', DeniedError, "the token"),
    ],
)
def test_what_a_transaction_that_was_not_applied_says(body: bytes, kind: type[StoreError], says: str) -> None:
    with answering((409, {}, body)) as address, pytest.raises(kind, match=says) as caught:
        store_at(address).write([Put("a", b"hunter2", None), Check("b", "7")])
    assert "acce5507" not in str(caught.value)


def test_a_404_of_something_else_is_no_absence() -> None:
    with answering((404, {}, b"page not found")) as address:
        store = store_at(address)
        for ask in (
            lambda: store.get("a"),
            lambda: store.keys("a/"),
            lambda: store.wait("a", "1", timeout=1),
        ):
            with pytest.raises(UnavailableError, match="no Consul"):
                ask()
    with answering((404, {"X-Consul-Index": "7"}, b"")) as address:
        assert store_at(address).get("a") is None


def test_another_key_is_no_answer() -> None:
    with answering((200, {"X-Consul-Index": "7"}, row(7))) as address:
        store = store_at(address)
        assert store.get("a") is not None
        for ask in (lambda: store.get("b"), lambda: store.wait("b", "7", timeout=1)):
            with pytest.raises(MalformedError):
                ask()


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{}", b"[]", b"[1]", b"7", b"null", b'[{"Key":"a"}]', b"[" * 100_000),
        *(b'[{"Key":"a","Value":"*","ModifyIndex":1}]', b'[{"Key":"a","Value":7,"ModifyIndex":1}]'),
    ],
)
def test_what_is_no_answer_is_typed(body: bytes) -> None:
    with answering((200, {"X-Consul-Index": "1"}, body)) as address:
        store = store_at(address)
        for ask in (lambda: store.get("a"), lambda: store.wait("a", "1", timeout=1)):
            with pytest.raises(MalformedError):
                ask()
    with answering((200, {}, b'["a/b"]'), (200, {}, body)) as address, pytest.raises(MalformedError):
        list(store_at(address).scan("a/"))
    for index in ("", "-1", "\u00b2", "9" * 30):
        with answering((200, {"X-Consul-Index": index}, row(1))) as address, pytest.raises(MalformedError):
            store_at(address).wait("a", "1", timeout=1)


@pytest.mark.parametrize(
    "url",
    [
        *(
            "consul:",
            "consul:h",
            "consul://h/p?token=x",
            "consul://u:p@h/p",
            "consul://h/p?x=1",
            "consul://h:x/p",
        ),
        *(
            "consul://h:0/p",
            "consul://h:1:2/p",
            "consul://h h/p",
            "consul://h/p?ops=1",
            "consul://h/p?ops=129",
        ),
    ],
)
def test_urls_that_are_none(url: str) -> None:
    with pytest.raises(UsageError):
        open_store(url, base="/")


def test_prefix_and_ports() -> None:
    assert open_store("consul://h1,h2:1/a/b/", base="/")[1] == "a/b/"
    assert open_store("consul:///a", base="/")[1] == "a/"
    assert open_store("consul://[::1],[::1]:1", base="/")[1] == ""


@pytest.mark.parametrize(
    ("url", "environ", "addresses", "secure"),
    [
        ("consul:///a", {}, ["127.0.0.1:8500"], False),
        ("consul:///a", {"CONSUL_HTTP_ADDR": "h"}, ["h:8500"], False),
        ("consul:///a", {"CONSUL_HTTP_ADDR": "http://h:1/"}, ["h:1"], False),
        ("consul:///a", {"CONSUL_HTTP_ADDR": "https://h:1"}, ["h:1"], True),
        ("consul:///a", {"CONSUL_HTTP_ADDR": "h:1", "CONSUL_HTTP_SSL": "1"}, ["h:1"], True),
        ("consul+https:///a", {"CONSUL_HTTP_ADDR": "http://h:1"}, ["h:1"], True),
        ("consul+https:///a", {"CONSUL_HTTP_ADDR": "h"}, ["h:8501"], True),
        ("consul://g/a", {"CONSUL_HTTP_ADDR": "https://h:1"}, ["g:8500"], False),
        ("consul://g/a", {"CONSUL_HTTP_SSL": "true"}, ["g:8500"], True),
        ("consul://g/a", {"CONSUL_HTTP_SSL": "false"}, ["g:8500"], False),
        ("consul+https://g,h:1/a", {"CONSUL_HTTP_SSL": "false"}, ["g:8501", "h:1"], True),
    ],
)
def test_where_variables_lead(url: str, environ: dict[str, str], addresses: list[str], secure: bool) -> None:
    place = parse_place(url, environ)
    assert place.addresses == addresses
    assert place.secure is secure


@pytest.mark.parametrize(
    "address", ["unix:///run/consul", "https://u:hunter2@h", "ftp://h", "http://", "h/p"]
)
def test_an_address_that_is_none_is_not_repeated(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSUL_HTTP_ADDR", address)
    with pytest.raises(UsageError) as caught:
        open_store("consul:///a", base="/")
    assert "hunter2" not in str(caught.value)


def test_a_token_is_not_shown() -> None:
    place = parse_place("consul://h/a?dc=x", {"CONSUL_HTTP_TOKEN": "hunter2", "CONSUL_NAMESPACE": "n"})
    assert place.headers == {"X-Consul-Token": "hunter2"}
    assert place.names == {"dc": "x", "ns": "n"}
    assert "hunter2" not in f"{place!r} {place} {ConsulStore(Http(['h:1'], headers=place.headers), {})!r}"

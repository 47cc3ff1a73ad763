"""One HTTP client under everything that a network, a server or a certificate does wrong."""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3

from sealpipe.errors import (
    MalformedError,
    OutcomeUnknownError,
    SealpipeError,
    StoreError,
    UnavailableError,
    UsageError,
)
from sealpipe.stores import http
from sealpipe.stores.http import Http, Tls
from servers.certificates import Authority, make_authority

Script = Callable[["Peer", Any], None]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
TOKEN = "canary-of-a-token"


class Peer:
    """Takes connections and does with each what its script says; counts the requests that it has read."""

    def __init__(self, script: Script, context: ssl.SSLContext | None = None) -> None:
        self.script, self.context = script, context
        self.requests: list[bytes] = []
        self.connections = 0
        self.ended = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, ssl.SSLError), connection:
            if self.context is not None:
                connection = self.context.wrap_socket(connection, server_side=True)
            with connection:
                self.script(self, connection)

    def take(self, connection: Any) -> bytes:
        """A whole request's head; empty when the client has gone."""
        data = b""
        while b"\r\n\r\n" not in data:
            part = connection.recv(65536)
            if not part:
                return b""
            data += part
        head, _, body = data.partition(b"\r\n\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        missing = int(fields.get(b"content-length", 0)) - len(body)
        while missing > 0:
            missing -= len(connection.recv(65536)) or missing
        self.requests.append(head)
        return head

    def close(self) -> None:
        self.ended.set()
        self.listener.close()


@pytest.fixture
def peer() -> Iterator[Callable[..., Peer]]:
    made: list[Peer] = []

    def make(script: Script, context: ssl.SSLContext | None = None) -> Peer:
        made.append(Peer(script, context))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def client() -> Iterator[Callable[..., Http]]:
    made: list[Http] = []

    def make(*addresses: str, **options: Any) -> Http:
        made.append(Http(addresses, **{"headers": {"X-Token": TOKEN}, **options}))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def nobody() -> str:
    """An address that refuses."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"127.0.0.1:{listener.getsockname()[1]}"


def serves(peer: Peer, connection: Any) -> None:
    while peer.take(connection):
        connection.sendall(OK)


def says(data: bytes, *, every: float = 0.0, then_waits: bool = False) -> Script:
    """Answers each request with these bytes, a byte every so many seconds, and closes."""

    def script(peer: Peer, connection: Any) -> None:
        peer.take(connection)
        if every:
            for number in range(len(data)):
                connection.sendall(data[number : number + 1])
                time.sleep(every)
        else:
            connection.sendall(data)
        if then_waits:
            peer.ended.wait(10)

    return script


def resets(peer: Peer, connection: Any) -> None:
    peer.take(connection)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def silent(peer: Peer, connection: Any) -> None:
    peer.take(connection)
    peer.ended.wait(10)


def put(client: Http, timeout: float = 2.0, body: bytes = b"hunter2") -> http.Answer:
    return client.send("PUT", "/v1/a", body=body, timeout=timeout, writes=True)


def read(client: Http, timeout: float = 2.0) -> http.Answer:
    return client.send("GET", "/v1/a", timeout=timeout)


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


# ---- nothing was sent


def test_a_refused_write_goes_to_the_next(peer, client, nobody: str) -> None:
    server = peer(serves)
    assert put(client(nobody, server.address)).body == b"ok"
    with pytest.raises(UnavailableError, match=f"{nobody}: connection refused"):
        put(client(nobody))


def test_a_name_that_nobody_knows(client, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(UnavailableError, match="the name is not known"):
        put(client("store.invalid:1"))


def test_an_answer_that_takes_no_connection_is_bounded(client) -> None:
    with socket.socket() as full:  # its queue is full: the kernel drops what asks for a connection
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                one.connect(address)
        with within(1.5), pytest.raises(UnavailableError, match="no connection in time"):
            put(client(f"127.0.0.1:{address[1]}"), timeout=0.4)
        for one in waiting:
            one.close()


# ---- a write that was sent


@pytest.mark.parametrize(
    "script",
    [
        lambda peer, connection: peer.take(connection),
        resets,
        silent,
        says(b"HTTP/1.1 200 OK\r\nContent-Le"),
        says(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nok"),
        says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20\r\nok"),
        says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nok"),
        says(b"HTTP/1.1 200 OK\r\n" + b"X-A: " + b"a" * 70_000 + b"\r\n\r\n"),
        says(b"HTTP/1.1 200 OK\r\n" + b"X-A: a\r\n" * 200 + b"\r\n"),
        says(b"SSH-2.0-OpenSSH_9.2 hunter2\r\n"),
        says(bytes(range(256)) * 300),
        says(OK, every=0.1),
    ],
    ids=[
        *("closes", "resets", "silent", "cut-head", "cut-body", "cut-chunk", "bad-chunk"),
        *("long-field", "many-fields", "ssh", "bytes", "drip"),
    ],
)
def test_a_write_without_an_answer_is_sent_to_nobody_else(peer, client, script: Script) -> None:
    broken, other = peer(script), peer(serves)
    with within(2), pytest.raises(OutcomeUnknownError) as caught:
        put(client(broken.address, other.address), timeout=0.7)
    assert len(broken.requests) == 1
    assert not other.connections
    assert "hunter2" not in str(caught.value)
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("script", [resets, silent, says(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nok")])
def test_a_read_without_an_answer_is_asked_elsewhere(peer, client, script: Script) -> None:
    assert read(client(peer(script).address, peer(serves).address)).body == b"ok"


def test_a_body_longer_than_the_time_to_connect_is_taken(peer, client, monkeypatch) -> None:
    """Only connecting is bounded by CONNECT; a body on a slow line has all of the timeout."""
    monkeypatch.setattr(http, "CONNECT", 0.3)

    def slow(peer: Peer, connection: Any) -> None:
        for _ in range(2):
            connection.recv(1, socket.MSG_PEEK)
            time.sleep(0.7)
            peer.take(connection)
            connection.sendall(OK)

    one = client(peer(slow).address)
    for _ in range(2):  # a new connection, and one that is kept
        assert put(one, timeout=8, body=bytes(24 * 1024 * 1024)).status == 200


@pytest.mark.parametrize("secure", [False, True])
def test_a_body_that_nobody_takes_is_bounded(peer, client, authority: Authority, tmp_path, secure) -> None:
    def takes_a_little(peer: Peer, connection: Any) -> None:
        for _ in range(100):
            if peer.ended.wait(0.1):
                return
            connection.recv(1000)

    context = serving(authority, tmp_path) if secure else None
    one = client(peer(takes_a_little, context).address, secure=secure, tls=trusting(authority))
    with within(3), pytest.raises(OutcomeUnknownError):
        put(one, timeout=0.8, body=bytes(64 * 1024 * 1024))


# ---- time


@pytest.mark.parametrize(
    "data",
    [
        OK,
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + b"x" * 100,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 30,
    ],
)
@pytest.mark.parametrize("secure", [False, True])
def test_a_byte_at_a_time_is_no_way_around_the_timeout(
    peer, client, authority: Authority, tmp_path: Path, data: bytes, secure: bool
) -> None:
    context = serving(authority, tmp_path) if secure else None
    server = peer(says(data, every=0.1), context)
    with within(1.5), pytest.raises(UnavailableError):
        read(client(server.address, secure=secure, tls=trusting(authority)), timeout=0.6)


def test_closing_ends_what_waits(peer, client) -> None:
    one = client(peer(silent).address)
    threading.Timer(0.2, one.close).start()
    with within(2), pytest.raises(UnavailableError):
        read(one, timeout=9)
    with pytest.raises(UnavailableError, match="closed"):
        read(one)


# ---- connections


def test_a_connection_is_kept(peer, client) -> None:
    server = peer(serves)
    one = client(server.address)
    for _ in range(5):
        put(one)
        read(one)
    assert server.connections == 1


@pytest.mark.parametrize("secure", [False, True])
def test_a_kept_connection_that_was_closed_meanwhile_loses_no_write(
    peer, client, authority: Authority, tmp_path: Path, secure: bool
) -> None:
    """The server closes what is idle; that is seen before the next write goes out, not after it."""

    def once(peer: Peer, connection: Any) -> None:
        peer.take(connection)
        connection.sendall(OK)

    context = serving(authority, tmp_path) if secure else None
    server = peer(once, context)
    one = client(server.address, secure=secure, tls=trusting(authority))
    for _ in range(5):
        assert put(one).body == b"ok"
        time.sleep(0.05)
    assert len(server.requests) == 5


def test_no_proxy_of_the_environment(peer, client, nobody: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://{nobody}")
    monkeypatch.delenv("no_proxy", raising=False)
    assert read(client(peer(serves).address)).body == b"ok"


# ---- answers


def test_a_redirect_is_an_answer(peer, client) -> None:
    other = peer(serves)
    to = f"HTTP/1.1 307 Elsewhere\r\nLocation: http://{other.address}/\r\nContent-Length: 0\r\n\r\n"
    for ask in (put, read):
        assert ask(client(peer(says(to.encode())).address)).status == 307
    assert not other.connections


def test_what_a_request_says(peer, client) -> None:
    server = peer(serves)
    client(server.address).send(
        "GET", "/v1/a", query={"wait": "5s", "ns": "a b"}, headers={"X-B": "1"}, timeout=2
    )
    first, *fields = server.requests[0].decode().split("\r\n")
    assert first == "GET /v1/a?wait=5s&ns=a+b HTTP/1.1"
    names = {field.partition(":")[0].lower() for field in fields}
    assert {"x-token", "x-b"} <= names
    assert names <= {"host", "x-token", "x-b", "accept-encoding", "user-agent"}
    assert "gzip" not in server.requests[0].decode()


def test_an_answer_has_a_bound(peer, client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "BODY_LIMIT", 1000)
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
    assert len(read(client(peer(says(head + b"x" * 1000)).address)).body) == 1000
    with pytest.raises(MalformedError, match="larger"):
        read(client(peer(says(head + b"x" * 1001)).address))
    with pytest.raises(OutcomeUnknownError):
        put(client(peer(says(head + b"x" * 1001)).address))


def test_nothing_of_an_answer_is_logged(peer, client, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    data = b"HTTP/1.1 200 OK\r\nhunter2 no field\r\nContent-Length: 2\r\n\r\nok"
    for ask in (put, read):
        with contextlib.suppress(StoreError):
            ask(client(peer(says(data)).address))
    assert "hunter2" not in caplog.text
    assert TOKEN not in caplog.text


@pytest.mark.parametrize(
    "address", ["h:x", "h:", ":1", "h:70000", "h:0", "a b:1", "h/p:1", "::1:1", "[::1:1"]
)
def test_addresses_that_are_none(address: str) -> None:
    with pytest.raises(UsageError) as caught:
        Http([address])
    assert caught.value.word == "bad-store-url"


# ---- lines


def test_lines_come_as_they_are_sent(peer, client) -> None:
    def script(peer: Peer, connection: Any) -> None:
        peer.take(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for part in (b"one\ntw", b"o\n", b"three\n"):
            connection.sendall(b"%x\r\n%s\r\n" % (len(part), part))
            time.sleep(0.1)
        peer.ended.wait(10)

    one = client(peer(script).address)
    with within(2), one.lines("POST", "/watch", body=b"{}", timeout=0.8) as lines:
        assert list(lines) == [b"one", b"two", b"three"]


def test_lines_of_the_next_server(peer, client, nobody: str) -> None:
    server = peer(says(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\na\nb\n"))
    with client(nobody, server.address).lines("POST", "/watch", body=b"{}", timeout=2) as lines:
        assert list(lines) == [b"a", b"b"]
    with pytest.raises(UnavailableError), client(nobody).lines("POST", "/watch", body=b"", timeout=2):
        pass


def test_a_line_without_an_end_is_the_end(peer, client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "_LINE_LIMIT", 1000)
    endless = says(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\na\n" + b"x" * 5000, then_waits=True)
    with within(2), client(peer(endless).address).lines("POST", "/", body=b"", timeout=9) as lines:
        assert list(lines) in ([b"a"], [])


# ---- TLS


def serving(authority: Authority, folder: Path, **issued: Any) -> ssl.SSLContext:
    files = authority.issue("server", folder, **issued)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files["certificate"], files["key"])
    return context


def trusting(authority: Authority, **more: str) -> Tls:
    return Tls(authorities=str(authority.certificate), **more)


def test_a_certificate_that_fits(peer, client, authority: Authority, tmp_path: Path) -> None:
    server = peer(serves, serving(authority, tmp_path))
    one = client(server.address, secure=True, tls=trusting(authority))
    for _ in range(3):
        assert put(one).body == b"ok"
    assert server.connections == 1


@pytest.mark.parametrize(
    ("issued", "tls", "why"),
    [
        ({"hosts": ("elsewhere.example",)}, {}, "certificate is not accepted"),
        ({"days": -1}, {}, "expired"),
        ({}, {"server_name": "elsewhere.example"}, "certificate is not accepted"),
        ({}, {"authorities": ""}, "certificate is not accepted"),
    ],
)
def test_a_certificate_that_does_not_fit(
    peer, client, authority: Authority, tmp_path: Path, issued: dict[str, Any], tls: dict[str, str], why: str
) -> None:
    server = peer(serves, serving(authority, tmp_path, **issued))
    with pytest.raises(UnavailableError, match=why):
        put(client(server.address, secure=True, tls=trusting(authority)._replace(**tls)))
    assert not server.requests


def test_a_name_that_is_not_the_address(peer, client, authority: Authority, tmp_path: Path) -> None:
    server = peer(serves, serving(authority, tmp_path, hosts=("server.dc1.consul",)))
    tls = trusting(authority, server_name="server.dc1.consul")
    assert put(client(server.address, secure=True, tls=tls)).body == b"ok"


def test_authorities_in_a_folder(peer, client, authority: Authority, tmp_path: Path) -> None:
    folder = tmp_path / "authorities"
    make_authority(folder / "other", "another")
    (folder / "other" / "authority.pem").rename(folder / "other.pem")
    (folder / "other").rmdir()
    (folder / "ours.pem").write_bytes(authority.certificate.read_bytes())
    server = peer(serves, serving(authority, tmp_path))
    assert put(client(server.address, secure=True, tls=Tls(authorities=str(folder)))).body == b"ok"


def test_a_client_certificate_that_is_asked_for(peer, client, authority: Authority, tmp_path: Path) -> None:
    context = serving(authority, tmp_path)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.certificate)
    server = peer(serves, context)
    files = authority.issue("publisher", tmp_path)
    shown = {"certificate": str(files["certificate"]), "key": str(files["key"])}
    assert put(client(server.address, secure=True, tls=trusting(authority, **shown))).body == b"ok"
    bare = client(server.address, secure=True, tls=trusting(authority))
    with pytest.raises(UnavailableError):
        read(bare)
    with pytest.raises(StoreError):
        put(bare)
    assert len(server.requests) == 1


def test_what_refuses_a_client_certificate_has_read_nothing() -> None:
    """TLS 1.3 refuses after the first bytes were sent, with an alert; other faults of TLS may be later."""
    for reason, refused in (
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", True),
        ("TLSV1_ALERT_UNKNOWN_CA", True),
        ("SSLV3_ALERT_BAD_CERTIFICATE", True),
        ("SSLV3_ALERT_CERTIFICATE_EXPIRED", True),
        ("DECRYPTION_FAILED_OR_BAD_RECORD_MAC", False),
        ("TLSV1_ALERT_INTERNAL_ERROR", False),
        ("WRONG_VERSION_NUMBER", False),
        (None, False),
    ):
        inner = ssl.SSLError(1, "text")
        inner.reason = reason
        error = urllib3.exceptions.SSLError(inner)
        assert http._turned_away(error) is refused
        assert ("client certificate" in http.reason(error)) is refused


def test_a_write_into_a_broken_tls_connection_is_sent_to_nobody_else(
    peer, client, authority: Authority, tmp_path: Path
) -> None:
    """What is no TLS record, once the write was read: it may have been applied."""

    def garbage(peer: Peer, connection: ssl.SSLSocket) -> None:
        peer.take(connection)
        with socket.socket(fileno=connection.detach()) as bare:
            bare.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
            peer.ended.wait(1)

    def half(peer: Peer, connection: ssl.SSLSocket) -> None:
        peer.take(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nok")
        with socket.socket(fileno=connection.detach()) as bare:
            bare.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
            peer.ended.wait(1)

    for script in (garbage, half):
        broken = peer(script, serving(authority, tmp_path))
        other = peer(serves, serving(authority, tmp_path))
        with pytest.raises(OutcomeUnknownError):
            put(client(broken.address, other.address, secure=True, tls=trusting(authority)))
        assert len(broken.requests) == 1
        assert not other.connections


@pytest.mark.parametrize("how", ["closes", "resets", "waits", "plain"])
def test_a_handshake_that_fails_has_sent_nothing(
    peer, client, authority: Authority, tmp_path: Path, how: str
) -> None:
    def script(peer: Peer, connection: socket.socket) -> None:
        connection.recv(100)
        if how == "resets":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if how == "waits":
            peer.ended.wait(10)
        if how == "plain":
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            peer.ended.wait(0.2)

    broken, other = peer(script), peer(serves, serving(authority, tmp_path))
    says = {
        "closes": "does it speak TLS",
        "resets": "does it speak TLS",
        "plain": "it does not speak TLS",
    }.get(how)
    with within(2), pytest.raises(UnavailableError, match=says):
        put(client(broken.address, secure=True, tls=trusting(authority)), timeout=0.6)
    one = client(broken.address, other.address, secure=True, tls=trusting(authority))
    if how == "waits":
        with contextlib.suppress(UnavailableError):
            put(one, timeout=0.6)
    assert put(one).body == b"ok"
    assert len(other.requests) == 1


def test_certificates_that_cannot_be_read(authority: Authority, tmp_path: Path) -> None:
    files = authority.issue("publisher", tmp_path / "a")
    other = authority.issue("other", tmp_path / "b")
    (tmp_path / "no.pem").write_text("no certificate")
    for tls in (
        Tls(authorities=str(tmp_path / "nothing.pem")),
        Tls(authorities=str(tmp_path / "no.pem")),
        Tls(certificate=str(files["certificate"]), key=str(tmp_path / "nothing.pem")),
        Tls(certificate=str(files["certificate"]), key=str(other["key"])),
    ):
        with pytest.raises(SealpipeError) as caught:
            read(Http(["127.0.0.1:1"], secure=True, tls=tls))
        assert caught.value.word == "bad-tls-files"

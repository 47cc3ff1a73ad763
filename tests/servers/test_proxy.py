"""The proxy does what its faults say, and nothing else."""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from collections.abc import Iterator

import pytest

from servers.proxy import KINDS, Fault, Proxy


class _Echo(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        for line in self.rfile:
            self.server.seen.append(line)  # type: ignore[attr-defined]
            self.wfile.write(b"told " + line)


@pytest.fixture
def server() -> Iterator[socketserver.ThreadingTCPServer]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Echo) as server:
        server.daemon_threads = True
        server.seen = []  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def proxy(server) -> Iterator[Proxy]:
    proxy = Proxy(f"127.0.0.1:{server.server_address[1]}")
    yield proxy
    proxy.close()


def connected(proxy: Proxy) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", proxy.port), timeout=0.5)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def ask(connection: socket.socket, line: bytes) -> bytes | str:
    try:
        connection.sendall(line)
        found = b""
        while not found.endswith(b"\n"):
            part = connection.recv(100)
            if not part:
                return f"end after {len(found)}"
            found += part
    except TimeoutError:
        return "timeout"
    except OSError as error:
        return type(error).__name__
    return found


# What the client gets for the second of two requests, and how often the server saw it.
EXPECTED = {
    "refuse": ("ConnectionResetError", 0),
    "reset": ("ConnectionResetError", 0),
    "reset-reply": ("ConnectionResetError", 1),
    "black-hole": ("timeout", 0),
    "black-hole-reply": ("timeout", 1),
    "delay": (b"told two\n", 1),
    "late": ("timeout", 1),
    "drip": (b"told two\n", 1),
    "truncate": ("end after 4", 1),
    "corrupt": (None, 1),
    "duplicate": (b"told two\n", 2),
    "half-close": ("end after 0", 1),
    "half-close-request": (b"told two\n", 1),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault(kind: str, server, proxy: Proxy) -> None:
    proxy.arm(Fault(kind, 2, seconds=0.8 if kind == "late" else 0.1, seed=3))
    with connected(proxy) as connection:
        assert ask(connection, b"one\n") == b"told one\n"
        answer = ask(connection, b"two\n")
    expected, times = EXPECTED[kind]
    if expected is None:
        assert isinstance(answer, bytes | str)
        assert answer != b"told two\n"
    else:
        assert answer == expected
    assert proxy.hit
    deadline = time.monotonic() + 2
    while server.seen.count(b"two\n") < times and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)
    assert server.seen.count(b"two\n") == times


@pytest.mark.parametrize("kind", ["refuse", "black-hole", "black-hole-reply"])
def test_a_server_that_is_gone_stays_gone_until_healed(kind: str, proxy: Proxy) -> None:
    proxy.arm(Fault(kind, 1))
    with connected(proxy) as connection:
        ask(connection, b"one\n")
    if kind == "refuse":
        with pytest.raises(ConnectionRefusedError):
            connected(proxy)
    else:
        with connected(proxy) as connection:
            assert ask(connection, b"two\n") == "timeout"
    proxy.heal()
    with connected(proxy) as connection:
        assert ask(connection, b"three\n") == b"told three\n"


def test_requests_are_counted_over_connections(proxy: Proxy) -> None:
    proxy.arm(None)
    for _ in range(2):
        with connected(proxy) as connection:
            assert ask(connection, b"x\n") == b"told x\n"
            assert ask(connection, b"y\n") == b"told y\n"
    assert proxy.requests == 4
    assert not proxy.hit

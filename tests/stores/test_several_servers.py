"""One of several servers that takes requests and answers none, as a paused one does."""

from __future__ import annotations

import http.server
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from sealpipe.errors import OutcomeUnknownError, UnavailableError
from sealpipe.stores.http import Http


class _Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.asked += 1  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def do_PUT(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Nothing on standard error."""


@pytest.fixture
def silent() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:  # the kernel takes connections; nobody reads
        yield f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def server() -> Iterator[http.server.ThreadingHTTPServer]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Answers) as server:
        server.asked = 0  # type: ignore[attr-defined]
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def both(silent: str, server) -> Iterator[Http]:
    client = Http([silent, f"127.0.0.1:{server.server_address[1]}"])
    yield client
    client.close()


def test_a_read_goes_on_to_the_next_in_time(both: Http) -> None:
    started = time.monotonic()
    assert both.send("GET", "/", timeout=1.0).body == b"ok"
    assert time.monotonic() - started < 0.9
    started = time.monotonic()
    assert both.send("GET", "/", timeout=1.0).body == b"ok"
    assert time.monotonic() - started < 0.4, "the one that does not answer is asked first again"


def test_a_write_is_sent_to_nobody_else_and_the_next_request_goes_elsewhere(both: Http, server) -> None:
    with pytest.raises(OutcomeUnknownError):
        both.send("PUT", "/", timeout=0.4, writes=True)
    assert server.asked == 0
    started = time.monotonic()
    assert both.send("PUT", "/", timeout=2.0, writes=True).body == b"ok"
    assert time.monotonic() - started < 1.0


def test_an_answer_that_is_to_be_held_back_has_all_the_time(both: Http, server) -> None:
    started = time.monotonic()
    with pytest.raises(UnavailableError):
        both.send("GET", "/", timeout=0.6, held=True)
    assert time.monotonic() - started > 0.5
    assert server.asked == 0

"""An endpoint that speaks a little S3 and keeps only those promises that it is told to.

PyPI has such servers (rclone's is one); this one is small enough to be in every run, counts what it is asked
and can be told to answer anything.
"""

from __future__ import annotations

import hashlib
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass
class Lax:
    """`keeps`: of create, swap, delete, those whose conditions it honours. `answers`: what it says instead,
    by method: (status, body).
    """

    keeps: frozenset[str] = frozenset()
    objects: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    answers: dict[str, tuple[int, str]] = field(default_factory=dict)
    hangs_up_after: str = ""  # the method whose request is done and not answered
    url: str = ""

    def methods(self) -> list[str]:
        return [method for method, _, _ in self.asked]


def _tag(data: bytes) -> str:
    return f'"{hashlib.md5(data).hexdigest()}"'  # noqa: S324 - as S3 does


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    lax: Lax

    def log_message(self, *_: object) -> None:
        pass

    def _say(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _error(self, status: int, code: str) -> None:
        self._say(status, f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode())

    def _any(self) -> None:
        lax = self.lax
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        key = unquote(parts.path).partition("/")[2].partition("/")[2]
        lax.asked.append((self.command, key, {k.lower(): v for k, v in self.headers.items()}))
        if self.command in lax.answers:
            status, body = lax.answers[self.command]
            self._say(status, body.encode())
            return
        self._do(key, data, parse_qs(parts.query))

    def _do(self, key: str, data: bytes, query: dict[str, list[str]]) -> None:
        objects, keeps = self.lax.objects, self.lax.keeps
        there = objects.get(key)
        match, none = self.headers.get("If-Match"), self.headers.get("If-None-Match")
        differs = match is not None and (there is None or _tag(there) != match)
        promise = {"PUT": "swap", "DELETE": "delete"}.get(self.command, "")
        exists = self.command == "PUT" and bool(none) and there is not None
        if self.command == "GET" and not key:
            prefix = query.get("prefix", [""])[0]
            keys = [f"<Contents><Key>{k}</Key></Contents>" for k in sorted(objects) if k.startswith(prefix)]
            self._say(200, f"<ListBucketResult>{''.join(keys)}</ListBucketResult>".encode())
        elif self.command == "GET" and there is None:
            self._error(404, "NoSuchKey")
        elif self.command == "GET":
            same = none == _tag(there or b"")
            self._say(304 if same else 200, b"" if same else there or b"", ETag=_tag(there or b""))
        elif (differs and promise in keeps) or (exists and "create" in keeps):
            self._error(412, "PreconditionFailed")
        else:
            self._change(key, data)

    def _change(self, key: str, data: bytes) -> None:
        if self.command == "PUT":
            self.lax.objects[key] = data
        else:
            self.lax.objects.pop(key, None)
        if self.lax.hangs_up_after == self.command:
            self.close_connection = True
            self.connection.close()
        else:
            self._say(200 if self.command == "PUT" else 204, ETag=_tag(data))

    do_GET = do_PUT = do_DELETE = do_HEAD = _any  # noqa: N815 - as http.server calls them


@contextmanager
def lax_endpoint(*keeps: str, tls: ssl.SSLContext | None = None) -> Iterator[Lax]:
    """One that runs until the block ends."""
    lax = Lax(frozenset(keeps))
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"lax": lax}))
    server.daemon_threads = True
    lax.url = f"http{'s' if tls else ''}://127.0.0.1:{server.server_address[1]}"
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield lax
    finally:
        server.shutdown()
        server.server_close()

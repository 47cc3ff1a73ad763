"""HTTP, TLS, deadlines and what a failure means, in one place for the stores that speak HTTP.

Nothing is retried that may have been applied: a write goes to another server only when not a byte of it
was sent. Proxies of the environment are not used. Texts name the server, never a token, body or value.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
import threading
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlencode

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    SSLError,
)

from sealpipe.errors import MalformedError, OutcomeUnknownError, StoreError, UnavailableError, UsageError

BODY_LIMIT = 64 * 1024 * 1024  # bytes of one answer
CONNECT = 3.0  # seconds, at most, for one server of several
_CHUNK = 65536
_LINE_LIMIT = 8 * 1024 * 1024


class Tls(NamedTuple):
    """Files in PEM; "" takes the system's authorities, no client certificate, the URL's host name."""

    authorities: str = ""
    certificate: str = ""
    key: str = ""
    server_name: str = ""


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes


class _Request(NamedTuple):
    method: str
    target: str
    body: bytes | None
    headers: Mapping[str, str]


class _Now(threading.local):
    """When the request of this thread must be over; every wait for bytes ends by then."""

    deadline = 0.0
    asking = False


_now = _Now()


def _not_ours(_: logging.LogRecord) -> bool:
    # urllib3 logs what it cannot parse of an answer, bytes included; who asked gets a typed error.
    return not _now.asking


logging.getLogger("urllib3.connection").addFilter(_not_ours)


def _left() -> float:
    left = _now.deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the deadline has passed")
    return left


class _Plain(socket.socket):
    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(_left())
        return super().recv_into(*args, **kwargs)


class _Secure(ssl.SSLSocket):
    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(_left())
        return super().recv_into(*args, **kwargs)


class _Connection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        made = super()._new_conn()
        timeout = made.gettimeout()
        bounded = _Plain(made.family, made.type, made.proto, fileno=made.detach())
        bounded.settimeout(timeout)
        return bounded

    def connect(self) -> None:
        super().connect()
        _sockets_of(self).add(self.sock)


class _SecureConnection(HTTPSConnection):
    def connect(self) -> None:
        super().connect()
        _sockets_of(self).add(self.sock)


def _sockets_of(connection: Any) -> weakref.WeakSet[Any]:
    found: weakref.WeakSet[Any] = connection.sealpipe_sockets
    return found


class Http:
    """Requests to one store of one or several servers. Safe between threads.

    `addresses` are `host:port`; the first one is asked until it does not answer, then the next. `headers`
    go with every request.
    """

    def __init__(
        self,
        addresses: Sequence[str],
        *,
        secure: bool = False,
        tls: Tls | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._addresses = tuple(addresses)
        self._secure = secure
        self._tls = tls or Tls()
        self._headers = dict(headers or {})
        self._pools: dict[str, Any] = {}
        self._sockets: weakref.WeakSet[Any] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._first = 0
        self.closed = False

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float,
        writes: bool = False,
        held: bool = False,
    ) -> Answer:
        """The answer, whatever its status. `timeout` bounds all of it, slow bodies included.

        A server that takes the question and does not answer leaves time to ask the others, except where
        it is to hold the answer back (`held`), and for a write, which nobody else may be asked.

        Raises UnavailableError when no server answered, or for a write, when none was sent to;
        OutcomeUnknownError for a write that was sent and not answered; MalformedError for an answer that
        is none.
        """
        target = f"{path}?{urlencode(query)}" if query else path
        request = _Request(method, target, body, {**self._headers, **(headers or {})})
        deadline = time.monotonic() + timeout
        failure: StoreError | None = None
        first = self._first
        for turn in range(len(self._addresses)):
            number = (first + turn) % len(self._addresses)
            left = deadline - time.monotonic()
            if left <= 0 and failure is not None:
                break
            share = left if writes or held else left / (len(self._addresses) - turn)
            _now.deadline = deadline - left + share
            found, sent = self._ask(self._addresses[number], request, share)
            if isinstance(found, Answer):
                self._first = number
                return found
            self._first = (number + 1) % len(self._addresses)
            if writes and sent:
                raise OutcomeUnknownError(
                    "outcome-unknown",
                    f"{found.finding.what}: whether the write was applied is not known",
                )
            failure = found
            if sent and isinstance(found, MalformedError):
                break
        raise failure or UnavailableError("store-slow", "the store did not answer in time")

    def _ask(self, address: str, request: _Request, left: float) -> tuple[Answer | StoreError, bool]:
        """The answer or the failure of one server, and whether anything may have reached it."""
        timeout = urllib3.Timeout(connect=min(CONNECT, max(left, 0.001)), read=max(left, 0.001))
        response: Any = None
        _now.asking = True
        try:
            response = self._pool(address).urlopen(
                request.method,
                request.target,
                body=request.body,
                headers=dict(request.headers),
                retries=False,
                redirect=False,
                timeout=timeout,
                preload_content=False,
                decode_content=False,
            )
            data = _read_all(response)
            response.release_conn()
            return Answer(response.status, {k.lower(): v for k, v in response.headers.items()}, data), True
        except (NewConnectionError, ConnectTimeoutError, NameResolutionError, SSLError) as error:
            return UnavailableError("store-unavailable", f"{address}: {reason(error)}"), False
        except MalformedError as error:
            _drop(response)
            return error, True
        except (HTTPError, OSError, ValueError) as error:
            _drop(response)
            slow = isinstance(error, TimeoutError | urllib3.exceptions.ReadTimeoutError)
            word = "store-slow" if slow else "store-unavailable"
            return UnavailableError(word, f"{address}: {reason(error)}"), True
        finally:
            _now.asking = False

    @contextlib.contextmanager
    def lines(
        self, method: str, path: str, *, body: bytes, headers: Mapping[str, str] | None = None, timeout: float
    ) -> Iterator[Iterator[bytes]]:
        """The lines of an answer as they come, until it ends or `timeout` is over (then it just ends).

        Yields (None for a status other than 200) an iterator. Raises UnavailableError when nobody answers.
        """
        _now.deadline = time.monotonic() + timeout
        failure: StoreError | None = None
        response: Any = None
        for turn in range(len(self._addresses)):
            address = self._addresses[(self._first + turn) % len(self._addresses)]
            connect = urllib3.Timeout(connect=min(CONNECT, timeout), read=timeout)
            try:
                response = self._pool(address).urlopen(
                    method, path, body=body, headers={**self._headers, **(headers or {})}, retries=False,
                    redirect=False, timeout=connect, preload_content=False, decode_content=False,
                )  # fmt: skip
                break
            except (HTTPError, OSError) as error:
                failure = UnavailableError("store-unavailable", f"{address}: {reason(error)}")
        if response is None:
            raise failure or UnavailableError("store-unavailable", "no server was asked")
        try:
            yield _lines(response) if response.status == 200 else iter(())
        finally:
            _drop(response)

    def _pool(self, address: str) -> Any:
        with self._lock:
            if self.closed:
                raise UnavailableError("store-unavailable", f"{address}: the store was closed")
            found = self._pools.get(address)
            if found is None:
                found = self._pools[address] = self._made(address)
            return found

    def _made(self, address: str) -> Any:
        host, _, port = address.rpartition(":")
        host = host.strip("[]")
        options: dict[str, Any] = {"maxsize": 8, "block": False}
        kind: type[Any] = _SecureConnection if self._secure else _Connection
        bound = type(kind.__name__, (kind,), {"sealpipe_sockets": self._sockets})
        if self._secure:
            options["ssl_context"] = _context(self._tls)
            if self._tls.server_name:
                options["server_hostname"] = self._tls.server_name
            secure = urllib3.HTTPSConnectionPool(host, int(port), **options)
            secure.ConnectionCls = bound
            return secure
        plain = urllib3.HTTPConnectionPool(host, int(port), **options)
        plain.ConnectionCls = bound
        return plain

    def close(self) -> None:
        """Close every connection, also those that another thread waits on."""
        with self._lock:
            self.closed = True
            pools, self._pools = list(self._pools.values()), {}
        for one in list(self._sockets):
            with contextlib.suppress(OSError, ValueError):
                one.shutdown(socket.SHUT_RDWR)
        for pool in pools:
            pool.close()


def _context(tls: Tls) -> ssl.SSLContext:
    problem = ""
    context = ssl.create_default_context()
    try:
        if tls.authorities:
            context = ssl.create_default_context(cafile=tls.authorities)
        if tls.certificate:
            context.load_cert_chain(tls.certificate, tls.key or None)
    except (OSError, ssl.SSLError) as error:
        problem = error.strerror or error.reason if isinstance(error, ssl.SSLError) else str(error.strerror)
    if problem:
        files = ", ".join(name for name in (tls.authorities, tls.certificate, tls.key) if name)
        raise UsageError(
            "bad-tls-files", f"certificates for the store cannot be read: {problem}", why=[files]
        )
    context.sslsocket_class = _Secure
    return context


def _read_all(response: Any) -> bytes:
    parts: list[bytes] = []
    size = 0
    while part := response.read1(_CHUNK):
        size += len(part)
        if size > BODY_LIMIT:
            raise MalformedError("store-malformed", f"the store's answer is larger than {BODY_LIMIT} bytes")
        parts.append(part)
    expected = response.headers.get("content-length")
    if expected is not None and expected.isdigit() and size != int(expected):
        raise urllib3.exceptions.ProtocolError("the answer was cut off")
    return b"".join(parts)


def _lines(response: Any) -> Iterator[bytes]:
    waiting = b""
    while True:
        try:
            part = response.read1(_CHUNK)
        except (HTTPError, OSError, ValueError):
            return
        if not part:
            return
        waiting += part
        if len(waiting) > _LINE_LIMIT:
            return
        *whole, waiting = waiting.split(b"\n")
        yield from whole


def _drop(response: Any) -> None:
    if response is not None:
        with contextlib.suppress(Exception):
            response.close()


_REASONS: tuple[tuple[type[BaseException], str], ...] = (
    (NameResolutionError, "the name is not known"),
    (ConnectTimeoutError, "no connection in time"),
    (urllib3.exceptions.ReadTimeoutError, "no answer in time"),
    (TimeoutError, "no answer in time"),
)


def reason(error: BaseException) -> str:
    """A failure in words: what the system or the TLS library calls it, without the request."""
    known = next((text for kind, text in _REASONS if isinstance(error, kind)), "")
    if type(error) is NewConnectionError:  # for urllib3 a kind of timeout; most often it was refused
        known = ""
    inner: BaseException | None = None if known else error
    for _ in range(6):
        if inner is None:
            break
        known = _one_reason(inner)
        if known:
            break
        args = [one for one in inner.args if isinstance(one, BaseException)]
        inner = args[0] if args else inner.__cause__ or inner.__context__
    return known or "the connection broke"


def _one_reason(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason or 'no common version or certificate'}"
    return error.strerror.lower() if isinstance(error, OSError) and error.strerror else ""

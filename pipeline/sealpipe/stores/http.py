"""HTTP, TLS, deadlines and what a failure means, in one place for the stores that speak HTTP.

Nothing is retried that may have been applied: a write goes to another server only when not a byte of it
was sent, which the socket knows, not the exception. Proxies of the environment are not used, no redirect is
followed. Texts name the server, never a token, body or value.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import re
import socket
import ssl
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import urllib3
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NameResolutionError, NewConnectionError

from sealpipe.errors import MalformedError, OutcomeUnknownError, StoreError, UnavailableError, UsageError
from sealpipe.frozen import NamedTuple
from sealpipe.stores.base import Op, Put
from sealpipe.stores.sockets import PlainConnection, Secure, SecureConnection, now

BODY_LIMIT = 64 * 1024 * 1024  # bytes of one answer
CONNECT = 3.0  # seconds, at most, for one server of several
_CHUNK = 65536
_LINE_LIMIT = 8 * 1024 * 1024
_ADDRESS = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+):([0-9]{1,5})")


def encoded_size(ops: Sequence[Op], body: Callable[[Sequence[Op]], bytes]) -> int:
    """How long `body` of a write is, whose values stand in it as base64; none is made into it for that."""
    bare = [op._replace(value=b"") if isinstance(op, Put) else op for op in ops]
    return len(body(bare)) + sum(-(-len(op.value) // 3) * 4 for op in ops if isinstance(op, Put))


class Tls(NamedTuple):
    """Files in PEM, `authorities` also a folder of them; "" takes the system's authorities, no client
    certificate, the URL's host name."""

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


def _not_ours(_: logging.LogRecord) -> bool:
    # urllib3 logs what it cannot parse of an answer, bytes included; who asked gets a typed error.
    return not now.asking


logging.getLogger("urllib3.connection").addFilter(_not_ours)


class Http:
    """Requests to one store of one or several servers. Safe between threads, not across a fork.

    `addresses` are `host:port`; the first one is asked until it does not answer, then the next. `headers`
    go with every request. Raises UsageError for an address that is none, and for files of certificates
    that cannot be read; connects to nothing yet.
    """

    def __init__(
        self,
        addresses: Sequence[str],
        *,
        secure: bool = False,
        tls: Tls | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._addresses = tuple(_checked(address) for address in addresses)
        self._tls = tls or Tls()
        self._context = _context(self._tls) if secure else None
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
        """The answer, whatever its status. `timeout` bounds all of it, slow bodies included; only the
        system's own look-up of a host's name is not.

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
            now.deadline = deadline - left + share
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
        now.asking, now.sent = True, False
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
        except MalformedError as error:
            _drop(response)
            return error, True
        except (HTTPError, OSError, ValueError) as error:
            _drop(response)
            sent = now.sent and not _turned_away(error)
            slow = sent and isinstance(error, TimeoutError | urllib3.exceptions.ReadTimeoutError)
            word = "store-slow" if slow else "store-unavailable"
            why = reason(error)
            if why in (BROKE, _RESET) and self._context and not now.sent:
                why = f"{why} as TLS began: does it speak TLS?"
            return UnavailableError(word, f"{address}: {why}"), sent
        finally:
            now.asking = False

    @contextlib.contextmanager
    def lines(
        self, method: str, path: str, *, body: bytes, headers: Mapping[str, str] | None = None, timeout: float
    ) -> Iterator[Iterator[bytes]]:
        """The lines of an answer as they come, until it ends or `timeout` is over (then it just ends).

        Yields (None for a status other than 200) an iterator. Raises UnavailableError when nobody answers.
        """
        now.deadline = time.monotonic() + timeout
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
        kind: type[Any] = SecureConnection if self._context else PlainConnection
        bound = type(kind.__name__, (kind,), {"sealpipe_sockets": self._sockets})
        if self._context:
            options["ssl_context"] = self._context
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


def _checked(address: str) -> str:
    match = _ADDRESS.fullmatch(address)
    if match is None or not 0 < int(match[1]) < 65536:
        raise UsageError(
            "bad-store-url",
            "a server in a store URL is `host` or `host:port`, an IPv6 address in brackets",
            hint=["for example consul://a.internal:8500,b.internal:8500/config"],
        )
    return address


def _context(tls: Tls) -> ssl.SSLContext:
    problem = ""
    try:
        context = _trusting(tls.authorities)
        if tls.certificate:
            context.load_cert_chain(tls.certificate, tls.key or None)
    except ssl.SSLError as error:
        problem = error.reason or "no certificate in PEM"
    except OSError as error:
        problem = error.strerror or "not found"
    else:
        context.sslsocket_class = Secure
        return context
    files = ", ".join(name for name in (tls.authorities, tls.certificate, tls.key) if name)
    raise UsageError("bad-tls-files", f"certificates for the store cannot be read: {problem}", why=[files])


def _trusting(authorities: str) -> ssl.SSLContext:
    if not authorities:
        return ssl.create_default_context()
    place = Path(authorities)
    files = sorted(one for one in place.iterdir() if one.is_file()) if place.is_dir() else [place]
    if not files:
        raise FileNotFoundError(errno.ENOENT, "the folder is empty")
    context = ssl.create_default_context(cafile=files[0])
    for file in files[1:]:
        context.load_verify_locations(file)
    return context


def _read_all(response: Any) -> bytes:
    expected = response.headers.get("content-length")
    endless = response.length_remaining is None and not response.chunked
    # Nothing but the end of the connection would end it: a server that means that says so.
    if endless and response.version > 10 and response.headers.get("connection", "").lower() != "close":
        raise urllib3.exceptions.ProtocolError("the head of the answer was cut off")
    parts: list[bytes] = []
    size = 0
    while part := response.read1(_CHUNK):
        size += len(part)
        if size > BODY_LIMIT:
            raise MalformedError("store-malformed", f"the store's answer is larger than {BODY_LIMIT} bytes")
        parts.append(part)
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


BROKE = "the connection broke"
_RESET = os.strerror(errno.ECONNRESET).lower()
_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST")  # what answers in clear
_REASONS: tuple[tuple[type[BaseException], str], ...] = (
    (NameResolutionError, "the name is not known"),
    (ConnectTimeoutError, "no connection in time"),
    (urllib3.exceptions.ReadTimeoutError, "no answer in time"),
    (TimeoutError, "no answer in time"),
)


def reason(error: BaseException) -> str:
    """A failure in words: what the system or the TLS library calls it, without the request."""
    if type(error) is not NewConnectionError:  # for urllib3 a kind of timeout; most often it was refused
        for kind, text in _REASONS:
            if isinstance(error, kind):
                return text
    return next((text for one in _chain(error) if (text := _one_reason(one))), BROKE)


def _chain(error: BaseException) -> Iterator[BaseException]:
    one: BaseException | None = error
    for _ in range(6):
        if one is None:
            return
        yield one
        args = [arg for arg in one.args if isinstance(arg, BaseException)]
        one = args[0] if args else one.__cause__ or one.__context__


def _one_reason(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLEOFError):
        return BROKE
    if isinstance(error, ssl.SSLError):
        if _turned_away(error):
            return "it wants a client certificate, or not the one that it was shown"
        why = error.reason or "no common version or certificate"
        return "it does not speak TLS" if error.reason in _NO_TLS else f"TLS failed: {why}"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return error.strerror.lower() if isinstance(error, OSError) and error.strerror else ""


def _turned_away(error: BaseException) -> bool:
    """Whether the server refused our certificate: under TLS 1.3 that arrives after the request was sent,
    and nothing of it was read.
    """
    return any(
        isinstance(one, ssl.SSLError)
        and "ALERT" in (one.reason or "")
        and any(word in (one.reason or "") for word in ("CERT", "UNKNOWN_CA"))
        for one in _chain(error)
    )

"""Connections whose every wait ends by a deadline, and which tell whether anything was sent."""

from __future__ import annotations

import socket
import ssl
import threading
import time
import weakref
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError


class _Now(threading.local):
    """The request of this thread: when it must be over, whether a byte of it may have gone out."""

    deadline = 0.0
    sent = False
    asking = False


now = _Now()


def left() -> float:
    """Seconds until the deadline. Raises TimeoutError after it."""
    seconds = now.deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("the deadline has passed")
    return seconds


class Plain(socket.socket):
    __slots__ = ()

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(left())
        return super().recv_into(*args, **kwargs)

    def sendall(self, *args: Any) -> None:
        self.settimeout(left())
        now.sent = True
        super().sendall(*args)


class Secure(ssl.SSLSocket):
    """Only what a request says passes `send`: the handshake does not."""

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(left())
        return super().recv_into(*args, **kwargs)

    def send(self, *args: Any) -> int:  # `sendall` is many of these
        self.settimeout(left())
        now.sent = True
        try:
            return super().send(*args)
        except ssl.SSLEOFError:
            self.read(1)  # raises the alert that says why, where one came
            raise


def bound(made: object) -> None:
    """Let every wait of a connected socket that another library made end by the deadline, too."""
    kinds: dict[type[Any], type[Any]] = {socket.socket: Plain, ssl.SSLSocket: Secure}
    kind = kinds.get(type(made))
    if kind is not None:
        made.__class__ = kind


def _connected(connection: Any) -> socket.socket:
    """As urllib3 does it, but all addresses of a name together have the time of one."""
    host = connection._dns_host  # noqa: SLF001  # `host` is without the dot that ends a full name
    end = time.monotonic() + connection.timeout
    try:
        # As bytes, where it can be: for text, Python loads what it knows of names in other alphabets.
        named = host.encode("ascii") if host.isascii() else host
        found = socket.getaddrinfo(named, connection.port, 0, socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        problem = error if isinstance(error, socket.gaierror) else socket.gaierror(str(error))
        raise NameResolutionError(host, connection, problem) from error
    failure: OSError | None = None
    for turn, (family, kind, protocol, _, where) in enumerate(found):
        made = Plain(family, kind, protocol)
        try:
            made.settimeout(max(0.001, (end - time.monotonic()) / (len(found) - turn)))
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            made.connect(where)
        except OSError as error:
            failure = error
            made.close()
        else:
            made.settimeout(max(0.001, end - time.monotonic()))  # for the handshake
            return made
    if isinstance(failure, TimeoutError):
        raise ConnectTimeoutError(connection, "no connection in time") from failure
    raise NewConnectionError(connection, "no connection") from failure


class PlainConnection(HTTPConnection):
    """`sealpipe_sockets` of a subclass is the set of those that are open."""

    sealpipe_sockets: weakref.WeakSet[Any]

    def _new_conn(self) -> socket.socket:
        return _connected(self)

    def connect(self) -> None:
        super().connect()
        self.sealpipe_sockets.add(self.sock)


class SecureConnection(HTTPSConnection):
    sealpipe_sockets: weakref.WeakSet[Any]

    def _new_conn(self) -> socket.socket:
        return _connected(self)

    def connect(self) -> None:
        super().connect()
        self.sealpipe_sockets.add(self.sock)

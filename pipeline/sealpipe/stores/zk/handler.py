"""How kazoo connects, waits and calls back, for one client: one thread, our TLS, nothing on stderr."""

from __future__ import annotations

import logging
import os
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

from kazoo.handlers.threading import SequentialThreadingHandler

from sealpipe.errors import UsageError
from sealpipe.stores.zk.place import Place

CONNECT = 2.0
PATIENCE = 2.0  # seconds


class _Turn:
    """One connection of the process works at a time, the others sleep.

    Only one can run anyway, but Python wakes each thread that wants to two hundred times a second: when a
    server came back to some hundred connections on two cores, nothing else was done for half a minute.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()

    def take(self) -> threading.Lock:
        """What its holder releases, which a fork or who waited too long may have replaced by then."""
        while True:
            lock = self.lock
            if lock.acquire(timeout=PATIENCE):
                return lock
            # Who has it hangs, in a lookup of names: the others take turns at another one.
            if self.lock is lock:
                self.lock = threading.Lock()


_turn = _Turn()


def _after_fork() -> None:
    _turn.lock = threading.Lock()  # who held it is not here


os.register_at_fork(after_in_child=_after_fork)


class Handler(SequentialThreadingHandler):  # type: ignore[misc]
    """kazoo's one thread for the connection, with our TLS, and without a traceback on stderr when a server
    talks nonsense.

    What kazoo would hand to two more threads runs on that one: nothing of ours, nor what we use of kazoo,
    waits there. A process with a hundred connections woke three hundred threads for one lock otherwise.
    """

    def __init__(self, tls: ssl.SSLContext | None, notify: Callable[[], None]) -> None:
        super().__init__()
        self._tls, self._notify = tls, notify
        self._socket: socket.socket | None = None
        self._is_cut = False
        self.refused = 0  # connections that no waiting will make
        self.ended = False
        self.up = threading.Event()  # there is a session, or none will be waited for
        self.problem = ""
        self.logger = logging.Logger("sealpipe.stores.zk", logging.WARNING)  # nobody's child
        self.logger.addHandler(_Problems(self))
        self.callback_queue = self.completion_queue = _AtOnce()
        self.sleep_func = self._sleep
        self._held: threading.Lock | None = None  # our turn; the connection's thread alone asks

    def _take_turn(self) -> None:
        if self._held is None:
            self._held = _turn.take()

    def _yield_turn(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            held.release()

    def _sleep(self, seconds: float) -> None:
        self._yield_turn()
        time.sleep(seconds)

    def create_connection(
        self, address: tuple[str, int], hostname: str = "", timeout: float | None = None, **_: Any
    ) -> socket.socket:
        self._yield_turn()
        limit = min(timeout or CONNECT, CONNECT)
        try:
            if self._is_cut:
                raise ConnectionAbortedError(0, "cut off")
            made = socket.create_connection(address[:2], limit)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket = made
            if self._tls is not None:
                made = self._socket = self._tls.wrap_socket(made, server_hostname=hostname)
        except TimeoutError:
            raise
        except OSError as error:
            self.problem = _words(error)
            self.refused += 1
            self._notify()
            raise ConnectionError(0, self.problem) from None  # kazoo logs its text, which comes back as ours
        return made

    def select(self, rlist: Any, wlist: Any, xlist: Any, timeout: float | None = None) -> Any:  # noqa: ARG002
        # One call of the system, where kazoo's own makes an epoll each time, and with it five.
        # With one socket: the rest of a message, or a handshake, which a server that just starts may swallow.
        if len(rlist) + len(wlist) == 1:
            timeout = min(CONNECT, timeout or CONNECT)
        waiting = select.poll()
        for sockets, events in ((rlist, select.POLLIN), (wlist, select.POLLOUT)):
            for one in sockets:
                waiting.register(one, events)
        events_there = waiting.poll(0) if self._held else []
        if not events_there:
            self._yield_turn()
            events_there = waiting.poll(None if timeout is None else timeout * 1000)
            self._take_turn()
        found = {number for number, _ in events_there}
        ready = ([one for one in sockets if one.fileno() in found] for sockets in (rlist, wlist))
        return (*ready, [])

    def spawn(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> threading.Thread:
        def quietly() -> None:
            try:
                func(*args, **kwargs)
            except Exception:  # noqa: BLE001  # of bytes that are no ZooKeeper's
                self.problem = self.problem or "it does not speak ZooKeeper's protocol"
            finally:
                self._yield_turn()
                self.ended = True
                self._notify()

        return cast("threading.Thread", super().spawn(quietly))

    def start(self) -> None:
        self._running = True

    def stop(self) -> None:
        self._running = False

    def cut(self) -> None:
        """The connection ends now, and there is no other."""
        self._is_cut = True
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)


class _AtOnce:
    """In place of a queue and its thread."""

    def put(self, call: Callable[[], object]) -> None:
        with suppress(Exception):  # as kazoo's threads, which go on
            call()


class _Problems(logging.Handler):
    """The last complaint of kazoo, for our own message."""

    def __init__(self, handler: Handler) -> None:
        super().__init__()
        self._to = handler

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno == logging.WARNING and "ransition" not in record.msg:
            text = record.getMessage().removeprefix("Connection dropped: ")
            self._to.problem = text.removeprefix("socket connection error: ")
            if record.msg.startswith("Cannot resolve"):
                self._to.refused += 1


def tls_context(place: Place) -> ssl.SSLContext:
    """How a server is asked for its certificate and told ours. Raises UsageError [bad-tls-files]."""
    problem = ""
    try:
        context = ssl.create_default_context(cafile=place.authority or None)
        if place.certificate:
            context.load_cert_chain(place.certificate, place.key or None)
    except OSError as error:  # ssl.SSLError is one
        problem = _words(error)
    if problem:
        files = ", ".join(name for name in (place.authority, place.certificate, place.key) if name)
        raise UsageError(
            "bad-tls-files", f"certificates for the store cannot be read: {problem}", why=[files]
        )
    return context


def _words(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed ({error.reason or 'no common version or certificate'}): does it speak TLS?"
    return error.strerror or "no connection"

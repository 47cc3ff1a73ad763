"""A proxy that does one wrong thing at the n-th request, for any protocol over TCP.

A request is what a client sends until the server replies; the reply is what comes back until the client
sends again. Nothing is parsed, so that a fault hits what a broken network or a dying server would hit.
"""

from __future__ import annotations

import random
import select
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

# What happens at the request, and whether the server has seen it.
KINDS = (
    "refuse",  # not seen; the connection is reset, and no other is taken until it is healed
    "reset",  # not seen; the connection is reset
    "reset-reply",  # seen; the connection is reset instead of a reply
    "black-hole",  # not seen; nothing is answered, by any connection, until it is healed
    "black-hole-reply",  # seen; nothing is answered, by any connection, until it is healed
    "delay",  # seen after a moment that is shorter than what clients wait
    "late",  # seen only when the client has given up
    "drip",  # seen; the reply comes a byte at a time, far slower than any client waits for all of it
    "truncate",  # seen; half of the reply, and then the end
    "corrupt",  # seen; some bits of the reply are others
    "duplicate",  # seen twice
    "half-close",  # seen; the reply's direction is closed before it
    "half-close-request",  # seen; the server is told that the client says no more
)
KILLS = (
    "kill",  # not seen; `kill` is called, which ends the client
    "kill-reply",  # seen; `kill` is called before the client has the reply
)
_CHUNK = 1 << 16


class Fault(NamedTuple):
    """One of KINDS or KILLS at the `at`-th request, counted from one."""

    kind: str
    at: int
    seconds: float = 0.2  # for `delay` and `late`
    seed: int = 0  # for `corrupt`
    same_connection: bool = False  # for `duplicate`: a protocol of frames is sent the frame again


class Proxy:
    """Listens at `address` and passes on to `target`. `requests` counts since the last `arm`."""

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._lock = threading.Lock()
        self._fault: Fault | None = None
        self._swallowing = False
        self._open: set[socket.socket] = set()
        self.requests = 0
        self.hit = False
        self.kill: Callable[[], None] = lambda: None
        self._listener = self._listening(0)
        self.port: int = self._listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"

    def _listening(self, port: int) -> socket.socket:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(256)
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
        return listener

    def arm(self, fault: Fault | None) -> None:
        """From now on this goes wrong; requests are counted from here."""
        with self._lock:
            self._fault, self.requests, self.hit = fault, 0, False

    def swallow(self) -> None:
        """From now on nothing passes, in either direction and on any connection, until healed."""
        with self._lock:
            self._swallowing = True

    @property
    def swallowing(self) -> bool:
        return self._swallowing

    def heal(self) -> None:
        """Nothing goes wrong any more. What is late still arrives; what was swallowed never does."""
        with self._lock:
            self._fault, caught = None, [*self._open] if self._swallowing else []
            self._swallowing = False
        _cut(caught)
        if self._listener.fileno() < 0:
            self._listener = self._listening(self.port)

    def close(self) -> None:
        self._fault = None
        self.refuse()

    def _stop_listening(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept
        self._listener.close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self._target, timeout=5)
        except OSError:
            _reset(client)
            return
        for one in (client, server):
            one.settimeout(30)
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._open |= {client, server}
        try:
            _Connection(self, client, server).run()
        except (OSError, ValueError):  # reset, or closed by another thread
            _reset(client)
        finally:
            with self._lock:
                self._open -= {client, server}
            for one in (client, server):
                one.close()

    def at_request(self) -> Fault | None:
        """Count one more request; the fault that hits it, if one does."""
        with self._lock:
            self.requests += 1
            fault = self._fault
            if fault is None:
                return None
            lasting = fault.kind in ("refuse", "black-hole", "black-hole-reply")
            if self.requests == fault.at or (lasting and self.requests > fault.at):
                self.hit = True
                return fault
            return None

    def refuse(self, first: socket.socket | None = None) -> None:
        """No connection is taken, and none stays."""
        self._stop_listening()
        with self._lock:
            caught = [one for one in self._open if one is not first]
        _cut(caught)
        if first is not None:
            _reset(first)  # last: who hears of it may heal, and connect again, at once

    def armed_with(self, fault: Fault) -> bool:
        with self._lock:
            return self._fault is fault


class _Connection:
    """One connection of a client, and the one to the server that stands behind it."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self.proxy, self.client, self.server = proxy, client, server
        self.asking = False  # the client spoke last
        self.fault: Fault | None = None
        self.request = b""

    def run(self) -> None:
        while True:
            readable, _, _ = select.select([self.client, self.server], [], [], 60)
            if self.client in readable:
                data = self.client.recv(_CHUNK)
                if not data:
                    return
                if self.proxy.swallowing:
                    continue
                if not self.asking:
                    self.asking, self.fault, self.request = True, self.proxy.at_request(), b""
                self.request += data
                if not self._ask(data):
                    return
            elif self.server in readable:
                data = self.server.recv(_CHUNK)
                if not data:
                    return
                if self.proxy.swallowing:
                    continue
                first, self.asking = self.asking, False
                if not self._reply(data, first):
                    return

    def _ask(self, data: bytes) -> bool:
        """Pass a part of a request on; False ends the connection."""
        fault = self.fault
        match fault.kind if fault else "":
            case "refuse":
                self.proxy.refuse(self.client)
                return False
            case "reset":
                _reset(self.client)
                return False
            case "kill":
                self.proxy.kill()
                return False
            case "black-hole":
                return self._hold()
            case "delay" | "late":
                assert fault is not None
                if self.request == data:  # its first part
                    time.sleep(fault.seconds)
        self.server.sendall(data)
        if fault and fault.kind == "duplicate" and fault.same_connection:
            self.server.sendall(data)
        elif fault and fault.kind == "half-close-request":
            self.server.shutdown(socket.SHUT_WR)
        return True

    def _reply(self, data: bytes, first: bool) -> bool:
        """Pass a part of a reply on; False ends the connection."""
        fault = self.fault if first else None
        match fault.kind if fault else "":
            case "reset-reply":
                _reset(self.client)
                return False
            case "kill-reply":
                self.proxy.kill()
                return False
            case "black-hole-reply":
                return self._hold()
            case "drip":
                assert fault is not None
                for at in range(len(data)):
                    self.client.sendall(data[at : at + 1])
                    time.sleep(fault.seconds)
                return True
            case "truncate":
                self.client.sendall(data[: len(data) // 2])
                return False
            case "half-close":
                self.client.shutdown(socket.SHUT_WR)
                return True
            case "corrupt":
                assert fault is not None
                data = corrupted(data, fault.seed)
            case "duplicate":
                assert fault is not None
                if not fault.same_connection:
                    self._again()
        self.client.sendall(data)
        return True

    def _hold(self) -> bool:
        """Answer nothing until healed, or until the client goes."""
        fault = self.fault
        while fault is not None and self.proxy.armed_with(fault):
            readable, _, _ = select.select([self.client], [], [], 0.02)
            if readable and not self.client.recv(_CHUNK):
                return False
        _reset(self.client)
        return False

    def _again(self) -> None:
        """The same request on a connection of its own; its reply goes nowhere."""
        with socket.create_connection(self.server.getpeername(), timeout=5) as again:
            again.sendall(self.request)
            again.recv(_CHUNK)


def corrupted(data: bytes, seed: int) -> bytes:
    """The same length, with one to four bits turned."""
    chance = random.Random(seed)  # noqa: S311 - the same bits for the same seed
    found = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        found[chance.randrange(len(found))] ^= 1 << chance.randrange(8)
    return bytes(found)


def _cut(connections: list[socket.socket]) -> None:
    for one in connections:
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads from it


def _reset(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()

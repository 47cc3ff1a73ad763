"""A connection to ZooKeeper that can be asked, lost, cut off and forked: the only module that names kazoo.

kazoo reconnects by itself and answers what was under way with an exception. Its own retries of requests
are not used. Its thread is a daemon, and every wait for it here has an end.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from kazoo.client import KazooClient
from kazoo.exceptions import (
    AuthFailedError,
    ConnectionLoss,
    InvalidACLError,
    KazooException,
    NoAuthError,
    OperationTimeoutError,
    QuotaExceededError,
    SessionExpiredError,
    SessionMovedError,
    ThrottledOpError,
)
from kazoo.handlers.threading import KazooTimeoutError
from kazoo.protocol.states import KeeperState
from kazoo.retry import KazooRetry
from kazoo.security import ACL, OPEN_ACL_UNSAFE, Id, Permissions

from sealpipe.errors import (
    DeniedError,
    FullError,
    MalformedError,
    OutcomeUnknownError,
    StoreError,
    UnavailableError,
)
from sealpipe.stores.zk.handler import Handler, tls_context
from sealpipe.stores.zk.place import Place

SESSION = 6.0  # seconds: a server that went silent is left after two thirds of it
_CLOSE = 0.4  # what close() waits for a polite end, and again for one by force
_WINDOW = 256
_LOST = (ConnectionLoss, SessionExpiredError, SessionMovedError, OperationTimeoutError, ThrottledOpError)
_WRITERS = Permissions.READ | Permissions.WRITE | Permissions.CREATE | Permissions.DELETE

Send = Callable[[Any], Sequence[Any]]
"""Hands requests to a client: kazoo's asynchronous results, in order."""


class Session:
    """Safe between threads, and after a fork: the child makes a connection of its own."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._tls = tls_context(place) if place.tls else None
        self.acl = _acl(place)
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._changed = threading.Condition()
        self.losses = 0  # connections lost; who waits for a notice reads again
        self.closed = False
        self._client: Any = None
        self._handler: Handler | None = None

    # ---- requests

    def sync(self, path: str, deadline: float) -> None:
        """What is read afterwards is at least as new as anything acknowledged until now."""
        self.read(lambda client: [client.sync_async(path)], deadline)

    def each(self, call: str, paths: Sequence[str], deadline: float, *args: Any) -> list[Any]:
        """As `read`: one of kazoo's calls for each path, many under way at once."""
        found: list[Any] = []
        for start in range(0, len(paths), _WINDOW):
            found += self._some(call, paths[start : start + _WINDOW], args, deadline)
        return found

    def _some(self, call: str, paths: Sequence[str], args: tuple[Any, ...], deadline: float) -> list[Any]:
        return self.read(lambda client: [getattr(client, call)(path, *args) for path in paths], deadline)

    def read(self, send: Send, deadline: float) -> list[Any]:
        """What each request gives: a value, or kazoo's exception for what the server answered.

        Sent again on a new connection where one was lost meanwhile: reading twice changes nothing.
        """
        while True:
            client = self.connected(deadline)
            results, lost = _collect(send(client), deadline)
            if lost is None:
                return results
            if isinstance(lost, KazooTimeoutError):
                # kazoo itself leaves a server that went silent. One that is only slow, or a machine with too
                # much to do, would be made slower by another connection and session.
                raise self._silent()
            if not isinstance(lost, _LOST):
                raise _error_of(lost)
            time.sleep(0.01)  # its state follows the exception

    def write(self, send: Callable[[Any], Any], deadline: float) -> Any:
        """The server's answer to one request, sent once. Raises OutcomeUnknownError when none came."""
        client = self.connected(deadline)
        results, lost = _collect([send(client)], deadline)
        if lost is None:
            return results[0]
        if isinstance(lost, KazooTimeoutError):
            self._drop(client)  # what still waits to be sent is never sent
        if isinstance(lost, AuthFailedError):
            raise _error_of(lost)
        raise OutcomeUnknownError("outcome-unknown", "ZooKeeper did not say whether it took the write")

    # ---- the connection

    def connected(self, deadline: float) -> Any:
        """A client with a session. Raises UnavailableError, or DeniedError when our login is refused."""
        if self._pid != os.getpid():
            self._begin()  # the parent's threads are not here, and its session is the parent's
        with self._changed:
            known = self._handler
            client, handler = self._running()
            # Of a new one every refusal counts: the first may have come by now.
            before = handler.refused if handler is known else 0
            while not client.connected:
                if self.closed:
                    raise UnavailableError("store-closed", "the store was closed")
                if client.client_state == KeeperState.AUTH_FAILED:
                    raise _error_of(AuthFailedError())
                left = deadline - time.monotonic()
                if left <= 0 or handler.ended or handler.refused - before >= len(self._place.hosts):
                    raise self._silent(handler.problem)
                self._changed.wait(min(left, 0.5))
            return client

    def _running(self) -> tuple[Any, Handler]:
        if self.closed:
            raise UnavailableError("store-closed", "the store was closed")
        handler = self._handler
        if self._client is None or handler is None or handler.ended:
            if self._client is not None:
                self._drop(self._client)
            handler = self._handler = Handler(self._tls, self.notify)
            self._client = _client(self._place, handler)
            self._client.add_listener(partial(self._state, handler))
            self._client.start_async()
        return self._client, handler

    def _state(self, handler: Handler, state: Any) -> None:
        if state == "CONNECTED":
            handler.up.set()
        else:
            handler.up.clear()
            self.losses += 1
        self.notify()

    def back(self, deadline: float) -> None:
        """Sleeps until there is a session again, through every try that fails meanwhile."""
        with self._changed:
            if self.closed:
                return
            _, handler = self._running()
        handler.up.wait(max(deadline - time.monotonic(), 0))

    def notify(self) -> None:
        """Wakes whoever waits for something here."""
        with self._changed:
            self._changed.notify_all()

    def wait_for(self, happened: Callable[[], bool], deadline: float) -> bool:
        """Whether it happened by then; False at once when the store is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self.closed or happened(), max(deadline - time.monotonic(), 0))
            return happened() and not self.closed

    def _silent(self, problem: str = "") -> UnavailableError:
        where = ", ".join(self._place.hosts)
        return UnavailableError(
            "store-unavailable", f"ZooKeeper at {where}: {problem or 'no answer in time'}"
        )

    def _drop(self, client: Any) -> None:
        """Let go of a client that does not answer: nothing is sent on it any more."""
        with self._changed:
            if self._client is not client:
                return
            handler, self._client, self._handler = self._handler, None, None
            self.losses += 1
            self._changed.notify_all()
        if handler is not None:
            handler.cut()
        threading.Thread(target=_stop, args=(client,), daemon=True).start()

    def close(self) -> None:
        """Ends the session and, within a second, its threads; whoever waits is woken."""
        if self._pid != os.getpid():
            self._begin()
        with self._changed:
            self.closed = True
            client, handler = self._client, self._handler
            self._client = self._handler = None
            self._changed.notify_all()
        if client is None or handler is None:
            return
        handler.up.set()
        ending = threading.Thread(target=_stop, args=(client,), daemon=True)
        ending.start()
        ending.join(_CLOSE)
        if ending.is_alive():
            handler.cut()
            ending.join(_CLOSE)


def _client(place: Place, handler: Handler) -> Any:
    login = place.login
    sasl = None
    if login.scheme == "sasl":
        user, _, password = login.credential.partition(":")
        sasl = {"mechanism": "DIGEST-MD5", "username": user, "password": password, "service": "zookeeper"}
    return KazooClient(
        hosts=",".join(place.hosts),
        timeout=SESSION,
        handler=handler,
        auth_data=[("digest", login.credential)] if login.scheme == "digest" else None,
        sasl_options=sasl,
        connection_retry=KazooRetry(
            max_tries=-1, delay=0.05, max_delay=1.0, max_jitter=0.4, sleep_func=handler.sleep_func
        ),
        logger=handler.logger,
        use_ssl=place.tls,
        check_hostname=True,  # by the handler above; kazoo's own default is not to
    )


def _stop(client: Any) -> None:
    with suppress(Exception):
        client.stop()
    with suppress(Exception):
        client.close()


def _collect(sent: Sequence[Any], deadline: float) -> tuple[list[Any], BaseException | None]:
    """What the server answered, and what came instead of an answer if anything did."""
    results: list[Any] = []
    for one in sent:
        try:
            results.append(one.get(timeout=max(deadline - time.monotonic(), 0.001)))
        except (*_LOST, AuthFailedError, KazooTimeoutError) as error:
            return results, error
        except KazooException as error:
            results.append(error)
        except Exception as error:  # noqa: BLE001  # an answer that cannot be read
            return results, error
    return results, None


def _error_of(error: BaseException) -> StoreError:
    return refusal(error) or MalformedError("store-malformed", "ZooKeeper's answer is none that it gives")


def refusal(error: BaseException) -> StoreError | None:
    """Our error for a server's refusal; None for what depends on the request."""
    if isinstance(error, AuthFailedError):
        return DeniedError(
            "store-denied",
            "ZooKeeper refused the login",
            hint=["SEALPIPE_ZK_AUTH holds digest:USER:PASSWORD or sasl:USER:PASSWORD"],
        )
    if isinstance(error, NoAuthError):
        return DeniedError(
            "store-denied",
            "the ACL of a znode does not let us do that",
            why=["who creates a znode decides who may read and write it"],
            hint=["publish with ?read=SCHEME:ID in the store's URL for those who read"],
        )
    if isinstance(error, InvalidACLError):
        return DeniedError(
            "store-denied",
            "ZooKeeper knows no identity of ours that a znode could belong to",
            hint=["set SEALPIPE_ZK_AUTH, or ?acl=open in the store's URL for znodes that anyone may change"],
        )
    if isinstance(error, QuotaExceededError):
        return FullError("store-full", "the quota of a znode is used up")
    return None


def _acl(place: Place) -> list[Any]:
    if not place.creator:
        return list(OPEN_ACL_UNSAFE)
    found = [ACL(Permissions.ALL, Id("auth", ""))]
    for perms, names in ((Permissions.READ, place.read), (_WRITERS, place.write)):
        for name in names:
            scheme, _, who = name.partition(":")
            found.append(ACL(perms, Id(scheme, who)))
    return found

"""Keys as znodes. A version names one state of a znode, so that one deleted and made again has another.

A znode without data (null, which is not the same as empty) only holds others. Values are stored as they
are: what reads ZooKeeper by itself finds them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from kazoo.exceptions import (
    BadVersionError,
    KazooException,
    NodeExistsError,
    NoNodeError,
    NotEmptyError,
    RolledBackError,
    RuntimeInconsistency,
)
from kazoo.protocol.states import EventType

from sealpipe.errors import (
    ConflictError,
    MalformedError,
    StoreError,
    TooLargeError,
    UnavailableError,
)
from sealpipe.frozen import NamedTuple
from sealpipe.stores.base import (
    ABSENT,
    Check,
    Delete,
    Entry,
    Limits,
    Listing,
    Op,
    Put,
    check_key,
    check_ops,
    check_prefix,
    is_key,
)
from sealpipe.stores.zk.place import Place
from sealpipe.stores.zk.reads import ManyReads
from sealpipe.stores.zk.session import Session, refusal

# jute.maxbuffer is 1,048,575 bytes; to more than that a server answers by closing the connection.
LIMITS = Limits(value=512 * 1024, ops=512, request=1_000_000, history=3, transactional=True)
_TRIES = 8
_PATIENCE = 5.0  # what a wait bears of a server that is away
_LOOK = 0.5  # seconds that a look may take, however short the wait
_TRY = 1.0  # between two looks at why it is


class _Node(NamedTuple):
    version: int
    token: str  # the version as we give it out
    holds: bool  # a value; else it only holds others
    children: int


_SOMETHING = _Node(-1, "", holds=True, children=0)


class _Request(NamedTuple):
    """A part of a multi: what to call on kazoo's transaction, and with what."""

    call: str
    path: str
    args: tuple[Any, ...] = ()


class ZkStore:
    """Safe between threads and after a fork."""

    limits = LIMITS

    def __init__(self, place: Place) -> None:
        self._root = place.root
        self._session = Session(place)
        self._reads = ManyReads(self._session)
        self._notices: dict[str, _Notice] = {}

    # ---- reading

    def get(self, key: str, *, fresh: bool = False, timeout: float = 10.0) -> Entry | None:
        check_key(key)
        path = self._path(key)

        def send(client: Any) -> list[Any]:
            # A session's requests are answered in order: what follows a sync is as new as it.
            return [*([client.sync_async(path)] if fresh else []), client.get_async(path)]

        return _entry(key, _answer(self._session.read(send, time.monotonic() + timeout)[-1]))

    def values(
        self, keys: Sequence[str], *, fresh: bool = False, timeout: float = 10.0
    ) -> Iterator[bytes | None]:
        for key in keys:
            check_key(key)
        deadline = time.monotonic() + timeout
        if fresh and keys:
            self._session.sync(self._path(keys[0]), deadline)
        for entry in map(_entry, keys, self._values(keys, deadline)):
            yield entry and entry.value

    def written(self, key: str, *, timeout: float = 10.0) -> float | None:
        """When the key was last written, by the servers' clock, in Unix time; None where it is not there."""
        check_key(key)
        path = self._path(key)
        deadline = time.monotonic() + timeout
        [found] = self._session.read(lambda client: [client.exists_async(path)], deadline)
        stat = _answer(found)
        return None if stat is None else float(stat.mtime) / 1000

    def keys(self, prefix: str, *, timeout: float = 10.0) -> list[str]:
        deadline = time.monotonic() + timeout
        found: list[str] = []
        for keys in self._levels(prefix, deadline):
            nodes = self._nodes(keys, deadline)  # without their values, which nobody asked for
            found += [key for key, node in nodes.items() if node.holds]
            keys[:] = [key for key, node in nodes.items() if node.children]
        return sorted(found)

    def versions(
        self,
        prefix: str,
        *,
        since: Listing | None = None,  # noqa: ARG002  # no znode knows when others below it changed
        timeout: float = 30.0,
    ) -> Listing:
        return Listing({e.key: e.version for e in self.scan(prefix, timeout=timeout)})

    def scan(self, prefix: str, *, timeout: float = 30.0) -> Iterator[Entry]:
        yield from sorted(self._entries(prefix, time.monotonic() + timeout))

    def _entries(self, prefix: str, deadline: float) -> Iterator[Entry]:
        for keys in self._levels(prefix, deadline):
            found = [*zip(keys, self._values(keys, deadline), strict=True)]
            yield from (entry for key, one in found if (entry := _entry(key, one)) is not None)
            keys[:] = [key for key, one in found if one is not None and one[1].numChildren]

    def _values(self, keys: Sequence[str], deadline: float) -> list[Any]:
        paths = [self._path(key) for key in keys]
        return [_answer(one) for one in self._reads.values(paths, deadline)]

    def _levels(self, prefix: str, deadline: float) -> Iterator[list[str]]:
        """All keys below, a level at a time; who is given one leaves in it those that hold others."""
        check_prefix(prefix)
        top = self._path(prefix[:-1])
        self._session.sync(top, deadline)
        folders = [prefix[:-1]]
        while folders:
            names = self._each("get_children_async", folders, deadline)
            keys = [
                f"{folder}/{name}" if folder else name
                for folder, below in zip(folders, names, strict=True)
                for name in below or ()
                if is_key(name) and (folder or self._root or name != "zookeeper")
            ]
            if keys:
                yield keys
            folders = keys

    def _nodes(self, keys: Sequence[str], deadline: float) -> dict[str, _Node]:
        stats = [*zip(keys, self._each("exists_async", keys, deadline), strict=True)]
        found = {key: _node(stat, holds=stat.dataLength > 0) for key, stat in stats if stat is not None}
        # Its size does not tell an empty value from none.
        unclear = [
            key for key, stat in stats if stat is not None and not (stat.dataLength or stat.numChildren)
        ]
        for key, one in zip(unclear, self._each("get_async", unclear, deadline), strict=True):
            if one is None:
                del found[key]
            else:
                found[key] = _node(one[1], holds=one[0] is not None)
        return found

    def _each(self, call: str, keys: Sequence[str], deadline: float) -> list[Any]:
        paths = [self._path(key) for key in keys]
        return [_answer(one) for one in self._session.each(call, paths, deadline)]

    # ---- writing

    def size(self, ops: Sequence[Op]) -> int:
        acl = sum(12 + len(one.id.scheme) + len(one.id.id) for one in self._session.acl)
        return 32 + sum(self._size_of(op, acl) for op in ops)

    def _size_of(self, op: Op, acl: int) -> int:
        one = 32 + len(self._root) + 1 + len(op.key)
        if isinstance(op, Put):
            return one + acl + len(op.value)
        return 2 * one + acl if op.expect == ABSENT else one

    def write(self, ops: Sequence[Op], *, timeout: float = 10.0) -> None:
        """One multi. Where the server refused one, which is certain, what was in its way is looked at and
        another may follow; where no answer came, none does.
        """
        self._refuse(ops)
        deadline = time.monotonic() + timeout
        # What must be absent is first taken to be, and what is put in any case to be there: mostly it is.
        blind = {op.key for op in ops if isinstance(op, Put) and op.expect is None}
        known = [op.key for op in ops if op.expect != ABSENT and op.key not in blind]
        found = {**dict.fromkeys(blind, _SOMETHING), **self._nodes(known, deadline)}
        fresh = False
        for _ in range(_TRIES):
            wanted = self._requests(ops, found)
            if isinstance(wanted, list):
                if not wanted or self._commit(wanted, deadline):
                    self._sweep(ops, deadline)
                    return
            elif fresh:
                raise _conflict(wanted)
            self._session.sync(self._path(ops[0].key), deadline)
            found, fresh = self._nodes([op.key for op in ops], deadline), True
        raise _conflict(ops[0].key)

    def _requests(self, ops: Sequence[Op], found: Mapping[str, _Node]) -> list[_Request] | str:
        """What is to be sent, or the key whose expectation does not hold."""
        wanted: list[_Request] = []
        for op in ops:
            node, path = found.get(op.key), self._path(op.key)
            if op.expect is not None and op.expect != (node.token if node and node.holds else ABSENT):
                return op.key
            version = -1 if op.expect is None or node is None else node.version
            if isinstance(op, Put) and node is None:
                wanted.append(_Request("create", path, (op.value, self._session.acl)))
            elif isinstance(op, Put):
                wanted.append(_Request("set_data", path, (op.value, version)))
            elif isinstance(op, Check) and node is None:
                # There is no check for absence: what can be created was not there.
                wanted += [_Request("create", path, (b"", self._session.acl)), _Request("delete", path)]
            elif isinstance(op, Check):
                wanted.append(_Request("check", path, (version,)))
            elif node is not None and node.holds:
                wanted.append(_Request("delete", path, (version,)))
        return wanted

    def _commit(self, wanted: Sequence[_Request], deadline: float) -> bool:
        """False when the server found something else than we did; nothing was written then."""

        def send(client: Any) -> Any:
            transaction = client.transaction()
            for one in wanted:
                getattr(transaction, one.call)(one.path, *one.args)
            return transaction.commit_async()

        results = self._session.write(send, deadline)  # a list, also of what was refused
        if isinstance(results, KazooException):
            results = [results]
        # Of a refused multi one has the reason; those before and after it say only that they were not done.
        reasons = [
            one
            for one in results
            if isinstance(one, KazooException) and not isinstance(one, RolledBackError | RuntimeInconsistency)
        ]
        if not reasons:
            return True
        reason = reasons[0]
        if isinstance(reason, NoNodeError):
            self._make_parents([one.path for one in wanted if one.call == "create"], deadline)
        elif isinstance(reason, NotEmptyError):
            raise MalformedError("store-malformed", "a znode to delete holds others that no key is below")
        elif not isinstance(reason, BadVersionError | NodeExistsError):
            raise refusal(reason) or UnavailableError("store-unavailable", "ZooKeeper refused a write")
        return False

    def _make_parents(self, paths: Sequence[str], deadline: float) -> None:
        folders = sorted({path[:at] for path in paths for at, sign in enumerate(path) if sign == "/" and at})
        there = self._session.each("exists_async", folders, deadline)
        missing = [path for path, stat in zip(folders, there, strict=True) if stat is None]
        answers = self._session.each("create_async", missing, deadline, None, self._session.acl)
        for one in answers:
            if isinstance(one, KazooException) and (error := refusal(one)) is not None:
                raise error

    def _sweep(self, ops: Sequence[Op], deadline: float) -> None:
        """Remove what only held the deleted keys; whoever needs it meanwhile makes it again."""
        left = {op.key.rpartition("/")[0] for op in ops if isinstance(op, Delete)} - {""}
        with suppress(StoreError):
            for key, node in self._nodes(sorted(left), deadline).items():
                if not node.holds and not node.children:
                    self._session.each("delete_async", [self._path(key)], deadline, node.version)

    def _refuse(self, ops: Sequence[Op]) -> None:
        check_ops(ops, LIMITS.value)
        if len(ops) > LIMITS.ops or self.size(ops) > LIMITS.request:
            raise TooLargeError("write-too-large", "a write is larger than ZooKeeper takes in one request")

    # ---- waiting

    def wait(self, key: str, after: str, *, timeout: float) -> bool:
        """A watch, set anew after every loss of the connection; a server may be away for some seconds."""
        check_key(key)
        deadline = time.monotonic() + timeout
        look = max(deadline, time.monotonic() + _LOOK)
        notice = self._notices.setdefault(key, _Notice(self._session))
        patience = look
        while True:
            count, losses = notice.count, self._session.losses
            try:
                if self._version(key, notice, min(look, patience)) != after:
                    return True
                patience = look
            except UnavailableError:
                if time.monotonic() >= min(deadline, patience) or self._session.closed:
                    raise
                patience = min(patience, time.monotonic() + _PATIENCE)
                self._session.back(min(deadline, patience, time.monotonic() + _TRY))
                continue
            known = (count, losses)

            def news(known: tuple[int, int] = known) -> bool:
                return (notice.count, self._session.losses) != known

            if not self._session.wait_for(news, deadline):
                return False
            if notice.count != count:
                return True

    def _version(self, key: str, notice: _Notice, deadline: float) -> str:
        path = self._path(key)
        [stat] = self._session.read(lambda client: [client.exists_async(path, watch=notice)], deadline)
        if _answer(stat) is None:
            return ABSENT
        if stat.dataLength:
            return _token(stat)
        node = self._nodes([key], deadline).get(key)
        return node.token if node is not None and node.holds else ABSENT

    def close(self) -> None:
        self._session.close()

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}" if key else self._root or "/"


class _Notice:
    """One callback for each key, so that kazoo does not collect them."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.count = 0

    def __call__(self, event: Any) -> None:
        if event.type != EventType.NONE:  # else the connection was lost, which the session counts
            self.count += 1
        self._session.notify()


def _answer(one: Any) -> Any:
    """What the server gave, None for a znode that is not there. Raises for what it refused."""
    if isinstance(one, NoNodeError):
        return None
    if isinstance(one, KazooException):
        raise refusal(one) or MalformedError("store-malformed", "ZooKeeper refused a request without cause")
    return one


def _entry(key: str, one: tuple[bytes | None, Any] | None) -> Entry | None:
    if one is None or one[0] is None or (not one[0] and one[1].numChildren):
        return None
    return Entry(key, one[0], _token(one[1]))


def _node(stat: Any, *, holds: bool) -> _Node:
    return _Node(stat.version, _token(stat), holds, stat.numChildren)


def _token(stat: Any) -> str:
    # mzxid alone would do, but for an ensemble that was restored from an older copy.
    return f"{stat.czxid:x}.{stat.mzxid:x}.{stat.version}"


def _conflict(key: str) -> ConflictError:
    return ConflictError("conflict", f"{key} is not what was expected; nothing was written")

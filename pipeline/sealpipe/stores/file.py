"""A store in a folder, `file:PATH`: one file a key, no server, no account. POSIX only.

A write is one Put or Delete, with any number of Checks, under one flock: temporary file, fsync, rename,
fsync of the folder. The rename is the only instant at which anything changes, so nothing needs to be
repaired after a crash and readers take no lock. Writes that come together share the lock and the fsync of
their folders, and stay writes of their own. docs/adr/ has why several changes are not one write here.

Names that start with a dot are the store's own (`.lock`, `.tmp-*`); whatever else is no key is ignored.
A symbolic link below the folder is never followed: it could make a publisher write elsewhere.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from sealpipe.errors import (
    ConflictError,
    DeniedError,
    FullError,
    MalformedError,
    OutcomeUnknownError,
    StoreError,
    TooLargeError,
    UnavailableError,
    UnsupportedError,
    UsageError,
)
from sealpipe.files import locked, sync_folder
from sealpipe.stores.base import ABSENT, Check, Delete, Entry, Limits, Op, Put, check_key, check_prefix
from sealpipe.stores.folders import BELOW, FOLDER, VALUE_LIMIT, list_keys, read_file

LIMITS = Limits(value=VALUE_LIMIT, ops=64, request=64 * VALUE_LIMIT, history=20, transactional=False)

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_LOCK = ".lock"
_TEMPORARY = ".tmp-"
_THREADS = 4  # that wait for the disk at once

T = TypeVar("T")


def open_url(url: str, *, base: str) -> tuple[FileStore, str]:
    """`file:PATH` or `file:///PATH`, taken letter for letter; a relative PATH starts at `base`.

    Raises UsageError [bad-store-url]. Does not touch the disk: the folder is made by the first write.
    """
    path = url.removeprefix("file:")
    if path.startswith("//"):
        host, slash, rest = path[2:].partition("/")
        if host not in ("", "localhost") or not slash:
            raise UsageError(
                "bad-store-url",
                "a file store is on this machine",
                hint=["file:.sealpipe/store or file:///PATH"],
            )
        path = "/" + rest
    if not path or "\0" in path:
        raise UsageError("bad-store-url", "the store URL names no folder", hint=["file:.sealpipe/store"])
    return FileStore(Path(base, path)), ""


def version_of(value: bytes) -> str:
    """The version of a value here: a digest of its content."""
    return hashlib.blake2b(value, digest_size=16).hexdigest()


class FileStore:
    """Safe between processes and threads of one machine; `timeout` bounds the wait for the lock."""

    limits = LIMITS

    def __init__(self, folder: str | os.PathLike[str], *, poll: float = 0.2) -> None:
        self._folder = Path(folder)
        self._poll = poll
        self._closed = threading.Event()

    def size(self, ops: Sequence[Op]) -> int:
        return sum(len(op.key) + (len(op.value) if isinstance(op, Put) else 0) for op in ops)

    def get(self, key: str, *, fresh: bool = False, timeout: float = 10.0) -> Entry | None:  # noqa: ARG002
        check_key(key)
        with self._store_errors():
            value = self._read(key)
        return None if value is None else Entry(key, value, version_of(value))

    def keys(self, prefix: str, *, timeout: float = 10.0) -> list[str]:  # noqa: ARG002
        check_prefix(prefix)
        found: list[str] = []
        with self._store_errors():
            folder = self._open_folder(prefix.split("/")[:-1])
            if folder is not None:
                try:
                    list_keys(folder, prefix, found)
                finally:
                    os.close(folder)
        return sorted(found)

    def scan(self, prefix: str, *, timeout: float = 30.0) -> Iterator[Entry]:
        for key in self.keys(prefix, timeout=timeout):
            entry = self.get(key)
            if entry is not None:  # deleted since it was listed
                yield entry

    def write(self, ops: Sequence[Op], *, timeout: float = 10.0) -> None:
        changes = _one_change(ops)
        with self._store_errors():
            if any(isinstance(change, Put) for change in changes):
                _make_folder(self._folder)
            elif not self._folder.exists():
                # Nothing is stored: only an expectation of that, or a delete without one, can hold.
                if all(op.expect in (None, ABSENT) for op in ops):
                    return
                raise _conflict(ops[0].key)
            with _locked(self._folder, timeout):
                root = os.open(self._folder, FOLDER)
                try:
                    self._apply(root, ops, changes)
                finally:
                    os.close(root)

    def wait(self, key: str, after: str, *, timeout: float) -> bool:
        check_key(key)
        deadline = time.monotonic() + timeout
        seen: object = self  # unlike any stamp
        while True:
            stamp = self._stamp(key)
            if stamp != seen:
                entry = self.get(key)
                if (entry.version if entry else ABSENT) != after:
                    return True
                seen = stamp
            left = deadline - time.monotonic()
            if left <= 0 or self._closed.wait(min(self._poll, left)):
                return False

    def close(self) -> None:
        """Ends a `wait`; nothing else is held open between calls."""
        self._closed.set()

    def _apply(self, root: int, ops: Sequence[Op], changes: Sequence[Put | Delete]) -> None:
        _sweep(root)
        for op in ops:
            if op.expect is not None:
                value = self._read(op.key)
                if (ABSENT if value is None else version_of(value)) != op.expect:
                    raise _conflict(op.key)
        for change in changes:
            if isinstance(change, Put):
                _put(root, change.key.split("/"), change.value)
            else:
                _delete(root, change.key.split("/"))

    def _read(self, key: str) -> bytes | None:
        *parents, name = key.split("/")
        folder = self._open_folder(parents)
        if folder is None:
            return None
        try:
            with suppress(FileNotFoundError):
                return read_file(name, folder)
            return None
        finally:
            os.close(folder)

    def _stamp(self, key: str) -> tuple[int, ...] | None:
        # A rename always brings another inode or another time, so equal stamps need no reading.
        with self._store_errors():
            with suppress(FileNotFoundError):
                found = (self._folder / key).lstat()
                return (found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size)
            return None

    def _open_folder(self, names: Sequence[str]) -> int | None:
        try:
            folder = os.open(self._folder, FOLDER)
        except FileNotFoundError:
            return None
        for name in names:
            try:
                below = os.open(name, BELOW, dir_fd=folder)
            except FileNotFoundError:
                return None
            finally:
                os.close(folder)
            folder = below
        return folder

    @contextmanager
    def _store_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise _store_error(error, self._folder) from error


def _one_change(ops: Sequence[Op]) -> list[Put | Delete]:
    for op in ops:
        check_key(op.key)
        if isinstance(op, Delete) and op.expect == ABSENT:
            raise UnsupportedError("bad-write", "a delete cannot expect that the key is absent")
        if isinstance(op, Put) and len(op.value) > VALUE_LIMIT:
            raise TooLargeError("value-too-large", f"a value is larger than {VALUE_LIMIT} bytes")
    if len({op.key for op in ops}) != len(ops):
        raise UnsupportedError("bad-write", "a key stands twice in one write")
    if len(ops) > LIMITS.ops:
        raise TooLargeError("write-too-large", f"a write holds more than {LIMITS.ops} operations")
    changes = [op for op in ops if not isinstance(op, Check)]
    if len(changes) > 1:
        raise UnsupportedError("bad-write", "a file store changes one key in a write")
    return changes


def _conflict(key: str) -> ConflictError:
    return ConflictError("conflict", f"{key} is not what was expected; nothing was written")


def _store_error(error: OSError, folder: Path) -> StoreError:
    what = f"{folder}: {os.strerror(error.errno) if error.errno else 'input/output error'}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return FullError("store-full", what)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return DeniedError("store-denied", what)
    if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.ENOTEMPTY, errno.EEXIST):
        return MalformedError("store-malformed", f"{what} (something there was not made by the store)")
    return UnavailableError("store-unavailable", what)


def _make_folder(folder: Path) -> None:
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for new in reversed(missing):
        new.mkdir(exist_ok=True)
        sync_folder(new.parent)


@contextmanager
def _locked(folder: Path, timeout: float) -> Iterator[None]:
    try:
        with locked(folder / _LOCK, timeout=timeout):
            yield
    except TimeoutError as error:
        raise UnavailableError(
            "store-locked", f"{folder}: another process has held the store's lock for {timeout:g} s"
        ) from error


def _sweep(root: int) -> None:
    # Temporary files are made under the lock, so one that is here was left by a process that died.
    with os.scandir(root) as entries:
        left = [entry.name for entry in entries if entry.name.startswith(_TEMPORARY)]
    for name in left:
        os.unlink(name, dir_fd=root)


def _put(root: int, names: Sequence[str], value: bytes) -> None:
    folder = _enter(root, names[:-1])
    temporary = _TEMPORARY + secrets.token_hex(8)
    try:
        try:
            _write_file(root, temporary, value)
            os.rename(temporary, names[-1], src_dir_fd=root, dst_dir_fd=folder)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary, dir_fd=root)
            raise
        _sync_change(folder)
    finally:
        os.close(folder)


def _enter(root: int, names: Sequence[str]) -> int:
    """Descriptor of a folder below `root`, made where missing; its name is on disk before its content."""
    folder = os.dup(root)
    for name in names:
        try:
            with suppress(FileExistsError):
                os.mkdir(name, dir_fd=folder)
            below = os.open(name, BELOW, dir_fd=folder)
            # An empty one may have been made by a process that died before it could sync the name.
            with os.scandir(below) as entries:
                if next(entries, None) is None:
                    os.fsync(folder)
        finally:
            os.close(folder)
        folder = below
    return folder


def _write_file(root: int, name: str, value: bytes) -> None:
    descriptor = os.open(name, _CREATE, 0o666, dir_fd=root)
    try:
        left = memoryview(value)
        while left:  # os.write may take less than it is given, without an error
            left = left[os.write(descriptor, left) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _delete(root: int, names: Sequence[str]) -> None:
    folders = [os.dup(root)]
    try:
        try:
            for name in names[:-1]:
                folders.append(os.open(name, BELOW, dir_fd=folders[-1]))
            os.unlink(names[-1], dir_fd=folders[-1])
        except FileNotFoundError:
            return
        _sync_change(folders[-1])
        # An empty folder says nothing; one that is not empty any more stays.
        with suppress(OSError):
            for index in range(len(names) - 2, -1, -1):
                os.rmdir(names[index], dir_fd=folders[index])
    finally:
        for folder in folders:
            os.close(folder)


def _sync_change(folder: int) -> None:
    failed = False
    try:
        os.fsync(folder)
    except OSError as error:
        failed = error.errno not in (errno.EINVAL, errno.ENOTSUP)  # filesystems that sync no folders
    if failed:
        raise OutcomeUnknownError(
            "outcome-unknown", "the change was made and may be lost if this machine loses power now"
        )

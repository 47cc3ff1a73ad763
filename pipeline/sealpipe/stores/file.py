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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from sealpipe.errors import (
    DeniedError,
    FullError,
    MalformedError,
    OutcomeUnknownError,
    StoreError,
    UnavailableError,
    UsageError,
)
from sealpipe.files import locked, sync_folder
from sealpipe.stores.base import ABSENT, Delete, Entry, Op, Put, check_key, check_prefix
from sealpipe.stores.folders import BELOW, FOLDER, Walk, list_keys
from sealpipe.stores.single import LIMITS, check_apart, one_change, unmet

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_LOCK = ".lock"
_TEMPORARY = ".tmp-"
Folder = tuple[str, ...]


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
        with self._store_errors(), Walk(self._folder) as walk:
            folder = walk.folder(prefix.split("/")[:-1])
            if folder is not None:
                list_keys(folder, prefix, found)
        return sorted(found)

    def scan(self, prefix: str, *, timeout: float = 30.0) -> Iterator[Entry]:
        with Walk(self._folder) as walk:
            for key in self.keys(prefix, timeout=timeout):
                with self._store_errors():
                    value = walk.read(key)
                    if (
                        value is None
                    ):  # deleted since it was listed; or its folder was, and is another one now
                        value = self._read(key)
                if value is not None:
                    yield Entry(key, value, version_of(value))

    def write(self, ops: Sequence[Op], *, timeout: float = 10.0) -> None:
        for failure in self.write_each([ops], timeout=timeout):
            if failure is not None:
                raise failure

    def write_each(self, writes: Sequence[Sequence[Op]], *, timeout: float = 10.0) -> list[StoreError | None]:
        changes = [one_change(ops) for ops in writes]
        check_apart(writes, changes)
        try:
            with self._store_errors():
                if any(isinstance(change, Put) for change in changes):
                    _make_folder(self._folder)
                elif not self._folder.exists():
                    # Nothing is stored: only an expectation of that, or a delete without one, can hold.
                    return [unmet(ops) for ops in writes]
                with _locked(self._folder, timeout):
                    root = os.open(self._folder, FOLDER)
                    try:
                        _sweep(root)
                        return self._apply(root, writes, changes)
                    finally:
                        os.close(root)
        except StoreError as error:
            return [error]

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

    def _apply(
        self, root: int, writes: Sequence[Sequence[Op]], changes: Sequence[Put | Delete | None]
    ) -> list[StoreError | None]:
        """Results up to the first failure. Raises OSError where the first write fails before its change."""
        held, failure = self._held(writes)
        made = changes[:held]
        if len(made) == 1 and isinstance(made[0], Delete):
            _delete(root, made[0].key.split("/"))
        puts = [change for change in made if isinstance(change, Put)]
        found: list[StoreError | None] = [None] * held
        if puts:
            try:
                found = self._put_each(root, puts)
            except OSError:
                if len(writes) == 1:
                    raise
                # Nothing is changed yet. One after the other, so that each gets its own error.
                return self._one_by_one(root, writes, changes)
        return found if failure is None or len(found) < held else [*found, failure]

    def _one_by_one(
        self, root: int, writes: Sequence[Sequence[Op]], changes: Sequence[Put | Delete | None]
    ) -> list[StoreError | None]:
        found: list[StoreError | None] = []
        for ops, change in zip(writes, changes, strict=True):
            try:
                found += self._apply(root, [ops], [change])
            except StoreError as error:
                found.append(error)
            except OSError as error:
                found.append(_store_error(error, self._folder))
            if found[-1] is not None:
                break
        return found

    def _held(self, writes: Sequence[Sequence[Op]]) -> tuple[int, StoreError | None]:
        """How many of the writes, from the first, find what they expect, and what stops the next."""
        known: dict[str, str] = {}
        with Walk(self._folder) as walk:
            for count, ops in enumerate(writes):
                try:
                    for op in ops:
                        if op.expect is not None and op.key not in known:
                            value = walk.read(op.key)
                            known[op.key] = ABSENT if value is None else version_of(value)
                except (OSError, StoreError) as error:
                    if not count:
                        raise
                    failure = error if isinstance(error, StoreError) else _store_error(error, self._folder)
                    return count, failure
                if (conflict := unmet(ops, known)) is not None:
                    return count, conflict
        return len(writes), None

    def _put_each(self, root: int, puts: Sequence[Put]) -> list[StoreError | None]:
        """All contents on disk, then all names, then all folders. Raises OSError before the first name."""
        names = [tuple(put.key.split("/")) for put in puts]
        unlike = _TEMPORARY + secrets.token_hex(8)
        temporaries = [f"{unlike}-{number}" for number in range(len(puts))]
        failed: OSError | None = None
        done = 0
        with _entered(root, [name[:-1] for name in names]) as folders:
            try:
                contents = [(name, put.value) for name, put in zip(temporaries, puts, strict=True)]
                from sealpipe.stores.threads import side_by_side  # not for who reads

                side_by_side(lambda content: _write_file(root, *content), contents)
                for name, temporary in zip(names, temporaries, strict=True):
                    os.rename(temporary, name[-1], src_dir_fd=root, dst_dir_fd=folders[name[:-1]])
                    done += 1
            except OSError as error:
                if not done:
                    raise
                failed = error
            finally:
                for temporary in temporaries[done:]:
                    with suppress(OSError):
                        os.unlink(temporary, dir_fd=root)
            unclear = _synced({name[:-1]: folders[name[:-1]] for name in names[:done]})
        found = [unclear.get(name[:-1]) for name in names[:done]]
        return found if failed is None else [*found, _store_error(failed, self._folder)]

    def _read(self, key: str) -> bytes | None:
        with Walk(self._folder) as walk:
            return walk.read(key)

    def _stamp(self, key: str) -> tuple[int, ...] | None:
        # A rename always brings another inode or another time, so equal stamps need no reading.
        with self._store_errors():
            with suppress(FileNotFoundError):
                found = (self._folder / key).lstat()
                return (found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size)
            return None

    @contextmanager
    def _store_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise _store_error(error, self._folder) from error


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


@contextmanager
def _entered(root: int, wanted: Sequence[Folder]) -> Iterator[dict[Folder, int]]:
    """Descriptors of folders below `root`, made where missing; a name is on disk before what is in it."""
    found: dict[Folder, int] = {(): os.dup(root)}
    try:
        for depth in range(1, max(map(len, wanted)) + 1):
            level = dict.fromkeys(path[:depth] for path in wanted if len(path) >= depth)
            # An empty one may have been made by a process that died before it could sync the name.
            for parent in dict.fromkeys(path[:-1] for path in level if _enter(found, path)):
                os.fsync(found[parent])
        yield found
    finally:
        for descriptor in found.values():
            with suppress(OSError):  # what a folder holds was synced or not, by now
                os.close(descriptor)


def _enter(found: dict[Folder, int], path: Folder) -> bool:
    """Adds the folder's descriptor to `found`. Whether it is empty."""
    parent = found[path[:-1]]
    with suppress(FileExistsError):
        os.mkdir(path[-1], dir_fd=parent)
    found[path] = os.open(path[-1], BELOW, dir_fd=parent)
    with os.scandir(found[path]) as entries:
        return next(entries, None) is None


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


def _synced(folders: Mapping[Folder, int]) -> dict[Folder, StoreError]:
    """The folders whose changes may be lost, and why."""
    unclear: dict[Folder, StoreError] = {}

    def sync(name: Folder) -> None:
        try:
            _sync_change(folders[name])
        except OutcomeUnknownError as error:
            unclear[name] = error

    from sealpipe.stores.threads import side_by_side

    side_by_side(sync, folders)
    return unclear

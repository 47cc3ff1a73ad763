"""The one atomic write, the one lock and the one private folder. Knows nothing of what is in a file."""

from __future__ import annotations

import atexit
import contextlib
import errno
import fcntl
import os
import signal
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

_PAUSE = 0.02  # seconds between two attempts at a lock


def write_atomic(path: str | os.PathLike[str], data: bytes, *, mode: int | None = None) -> None:
    """Replace the file's content: a reader sees all of the old or all of the new, also after a power cut.

    `mode` None keeps the mode of an existing file (a new one gets what the umask leaves). A symlink is
    followed, so that the link survives. Raises OSError and leaves the old file when anything fails. Does
    not create folders and does not lock.
    """
    target = Path(os.path.realpath(path))
    if mode is None:
        with contextlib.suppress(FileNotFoundError):
            mode = stat.S_IMODE(target.stat().st_mode)
    descriptor, temporary = _create_beside(target, 0o666 if mode is None else mode & 0o600)
    try:
        try:
            if mode is not None:
                os.fchmod(descriptor, mode)
            _write_all(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)


def write_once(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file that only its owner reads (0600), and never over anything.

    An empty file of one's own, as a killed process leaves it, is nothing: it is written. Raises
    FileExistsError for all else that is there, links among it, and OSError.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.EACCES) and os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fspath(path)) from None
        raise
    try:
        with contextlib.suppress(BlockingIOError):  # whoever has the lock is about to write it
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            found = os.fstat(descriptor)
            if stat.S_ISREG(found.st_mode) and not found.st_size and found.st_uid == os.geteuid():
                os.fchmod(descriptor, 0o600)
                _write_all(descriptor, data)
                os.fsync(descriptor)
                return
    finally:
        os.close(descriptor)
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fspath(path))


def sync_folder(folder: str | os.PathLike[str]) -> None:
    """Make renames and removals in this folder durable. Raises OSError; filesystems without it are fine."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def _create_beside(target: Path, mode: int) -> tuple[int, Path]:
    # The name is random and the open exclusive: a file or link planted there is never written through.
    while True:
        temporary = target.with_name(f".{target.name[:100]}.{os.urandom(6).hex()}.tmp")
        with contextlib.suppress(FileExistsError):
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            return os.open(temporary, flags, mode), temporary


def _write_all(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


@contextmanager
def locked(path: str | os.PathLike[str], *, timeout: float = 10.0) -> Iterator[None]:
    """Hold an exclusive lock on `path` (made if missing, never removed) among threads and processes.

    Raises TimeoutError after `timeout` seconds. The lock ends with the block or with the process,
    however it ends. It binds only those who ask for it.
    """
    deadline = time.monotonic() + timeout
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        try:
            _flock(descriptor, path, deadline)
            if not _still_there(descriptor, path):
                continue
            yield
            return
        finally:
            # Closing is not enough: a child forked meanwhile by another thread has the descriptor too.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)


def _flock(descriptor: int, path: str | os.PathLike[str], deadline: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise TimeoutError(f"{os.fspath(path)} is locked by another process") from None
            time.sleep(_PAUSE)
        else:
            return


def _still_there(descriptor: int, path: str | os.PathLike[str]) -> bool:
    # Somebody may have removed the file while we waited: then others lock another one.
    try:
        found = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return False
    held = os.fstat(descriptor)
    return (held.st_dev, held.st_ino) == (found.st_dev, found.st_ino)


@contextmanager
def private_folder() -> Iterator[Path]:
    """A folder that only this user can enter (0700), in memory where the machine has such a place.

    It is removed with all its content when the block ends, at exit, on SIGTERM and SIGHUP, and by a
    waiting `sh` after a SIGKILL. A power cut leaves it: on disk (no /dev/shm, no XDG_RUNTIME_DIR) it may
    then survive.
    """
    import shutil
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="sealpipe-", dir=_memory()))

    def sweep() -> None:
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(sweep)
    try:
        with _ended_by_signals(), _swept_after_death(folder):
            yield folder
    finally:
        sweep()
        atexit.unregister(sweep)


@contextmanager
def _swept_after_death(folder: Path) -> Iterator[None]:
    # Reads a pipe that nobody writes: it ends when this process does, however it ends. In a session of
    # its own, so that what kills a terminal's or a job's processes leaves it its moment.
    import shutil
    import subprocess

    waiting = None
    with contextlib.suppress(OSError):  # a machine without sh has what it had before
        waiting = subprocess.Popen(
            ["/bin/sh", "-c", 'trap "" HUP INT TERM; read -r _; rm -rf -- "$1"', "sh", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"PATH": os.defpath},
            cwd="/",
            start_new_session=True,
        )
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if waiting is not None and waiting.stdin is not None:
            waiting.stdin.close()
            waiting.wait()


def _memory() -> str | None:
    for place in (os.environ.get("XDG_RUNTIME_DIR"), "/dev/shm"):  # noqa: S108
        if place and Path(place).is_dir() and os.access(place, os.W_OK | os.X_OK):
            return place
    return None


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    # The default action of these signals would end the process without sweeping.
    def leave(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    import threading

    before: dict[signal.Signals, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is signal.SIG_DFL:
                before[number] = signal.signal(number, leave)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

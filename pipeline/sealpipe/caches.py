"""Files in the user's cache folder: what costs time to find out and may be lost at any moment.

Never in a repository, where a pull request could bring one along. An entry that is not whole, not ours or
of another form is as good as none.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import time
from collections.abc import Iterator, Mapping

from sealpipe.canonical import blake2b

KEPT_DAYS = 30
LIMIT = 16 * 1024 * 1024  # bytes of an entry
Environ = Mapping[str, str]


def digest(data: bytes) -> str:
    """Hex."""
    return str(blake2b(data, digest_size=32).hexdigest())


def program() -> Iterator[bytes]:
    """What made an entry: this package's files by size and time, and the names of what is installed, which
    hold versions."""
    folders = [os.path.dirname(__file__)]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if entry.name.endswith(".py"):
                    found = entry.stat()
                    yield f"{entry.path} {found.st_size} {found.st_mtime_ns}".encode()
                elif entry.name != "__pycache__" and entry.is_dir():
                    folders.append(entry.path)
    for folder in sys.path:
        with contextlib.suppress(OSError):
            yield " ".join(sorted(n for n in os.listdir(folder) if n.endswith(".dist-info"))).encode()


def place(kind: str, root: str, target: str, environ: Environ) -> str | None:
    """Where the entry of a repository and target is; None where no folder is ours alone."""
    home = environ.get("XDG_CACHE_HOME", "")
    if not home.startswith("/"):
        home = os.path.join(environ.get("HOME") or os.path.expanduser("~"), ".cache")
    folder = os.path.join(home, "sealpipe", kind)
    try:
        if not os.path.isdir(folder):
            os.makedirs(os.path.dirname(folder), mode=0o700, exist_ok=True)
            os.mkdir(folder, mode=0o700)
        found = os.lstat(folder)
        inside = f"{os.path.realpath(folder)}/".startswith(f"{root.rstrip('/')}/")
    except OSError:
        return None
    if inside or not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        return None
    name = digest(f"{root}\0{target}".encode("utf-8", "surrogateescape"))
    return os.path.join(folder, f"{name[:32]}.json")


def head(form: str, key: str, body: bytes) -> bytes:
    """The first line of an entry: its form, what it was found under, and the digest of the rest."""
    return f"{form} {key} {digest(body)}".encode()


def read(file: str) -> tuple[bytes, bytes] | None:
    """First line and body of an entry, not compared yet; None where there is no file of ours alone."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with open(descriptor, "rb") as opened:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
            return None
        first, _, body = opened.read(LIMIT).partition(b"\n")
    return first, body


def write(file: str, first: bytes, body: bytes) -> None:
    """Replace an entry, and quietly do without where that fails. Not made durable: after a power cut its
    first line does not fit, and it is none."""
    # Not by the process id, which is the same each time in a container: one that was killed left its file.
    temporary = f"{file}.{os.urandom(8).hex()}"
    if len(body) > LIMIT // 2:
        return
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError:
        return
    try:
        with open(descriptor, "wb") as opened:
            opened.write(first + b"\n" + body)
        os.replace(temporary, file)
        _sweep(os.path.dirname(file))
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)


def _sweep(folder: str) -> None:
    """Remove what nobody has renewed for a month: repositories come and go."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.stat(follow_symlinks=False).st_mtime < time.time() - KEPT_DAYS * 86400:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(entry.path)

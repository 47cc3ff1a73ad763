"""Files and folders below an open one, never through a symbolic link."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from typing import Self

from sealpipe.errors import MalformedError
from sealpipe.stores.base import is_key
from sealpipe.stores.single import VALUE_LIMIT

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
BELOW = FOLDER | os.O_NOFOLLOW
# Without O_NONBLOCK a FIFO in the folder would hold a reader for ever.
READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Walk:
    """From one folder of a store to the next, by names below its root; open is what leads to the last one.

    It holds the folders that it has open whatever becomes of their names: made for one call or listing.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self._root = root
        self._names: list[str] = []
        self._open: list[int] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        while self._open:
            os.close(self._open.pop())

    def folder(self, names: Sequence[str]) -> int | None:
        """The descriptor of a folder, good until the next call; None where it or one above it is missing."""
        try:
            if not self._open:
                self._open.append(os.open(self._root, FOLDER))
            while self._names != list(names[: len(self._names)]):
                self._names.pop()
                os.close(self._open.pop())
            for name in names[len(self._names) :]:
                self._open.append(os.open(name, BELOW, dir_fd=self._open[-1]))
                self._names.append(name)
        except FileNotFoundError:
            return None
        return self._open[-1]

    def read(self, key: str) -> bytes | None:
        """The content under a key, None where there is none. Raises OSError and MalformedError."""
        *parents, name = key.split("/")
        folder = self.folder(parents)
        if folder is not None:
            with suppress(FileNotFoundError):
                return read_file(name, folder)
        return None


def read_file(name: str, folder: int) -> bytes | None:
    """The file's content; None for a folder. Raises OSError, MalformedError for a file above the limit."""
    descriptor = os.open(name, READ, dir_fd=folder)
    try:
        found = os.fstat(descriptor)
        if stat.S_ISDIR(found.st_mode):
            return None  # the start of other keys, and no key itself
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.ELOOP, "not a regular file")
        if found.st_size > VALUE_LIMIT:
            raise MalformedError("store-malformed", f"a stored value is larger than {VALUE_LIMIT} bytes")
        # A file in place is never written again, so its size is what there is to read.
        parts, left = [], found.st_size
        while left and (part := os.read(descriptor, left)):
            parts.append(part)
            left -= len(part)
    finally:
        os.close(descriptor)
    return b"".join(parts)


def list_keys(folder: int, prefix: str, found: list[str]) -> None:
    """Adds every key below an open folder to `found`; names that are no keys are passed over."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if is_key(entry.name):
                    try:
                        below = os.open(entry.name, BELOW, dir_fd=folder)
                    except FileNotFoundError:
                        continue
                    try:
                        list_keys(below, f"{prefix}{entry.name}/", found)
                    finally:
                        os.close(below)
            elif is_key(entry.name):
                if not entry.is_file(follow_symlinks=False):
                    raise OSError(errno.ELOOP, "not a regular file")
                found.append(prefix + entry.name)

"""Changes to a repository's files as values, and the one place that writes them.

Editing functions return `FileEdit`s and touch nothing; `apply` writes them. A command's --dry-run is
everything but `apply`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from sealpipe.errors import RefusedError, Where
from sealpipe.files import locked, write_atomic

LOCK = ".sealpipe/edit.lock"
TIMEOUT = 10.0  # seconds to wait for another command that is writing


class FileEdit(NamedTuple):
    """A file's new content. `before` is what the edit was made from, None when there was no file."""

    file: str  # relative to the repository, with forward slashes
    before: bytes | None
    after: bytes
    executable: bool = False


def text_edit(file: str, before: str | None, after: str) -> FileEdit:
    return FileEdit(file, None if before is None else before.encode(), after.encode())


def apply(root: str, edits: Sequence[FileEdit]) -> None:
    """Write all edits, each file atomically, under the repository's lock; those that change nothing are left.

    Raises RefusedError [changed-meanwhile] before writing anything when a file is not what its edit was
    made from. A power cut between two files leaves the first ones written: each is valid by itself.
    """
    wanted = [edit for edit in edits if edit.before != edit.after]
    if not wanted:
        return
    lock = Path(root, LOCK)
    lock.parent.mkdir(parents=True, exist_ok=True)
    busy = False
    try:
        with locked(lock, timeout=TIMEOUT):
            for edit in wanted:
                _check_unchanged(root, edit)
            for edit in wanted:
                path = Path(root, edit.file)
                path.parent.mkdir(parents=True, exist_ok=True)
                write_atomic(path, edit.after, mode=0o755 if edit.executable else None)
    except TimeoutError:
        busy = True
    if busy:
        raise RefusedError("locked", "another sealpipe is writing in this repository", where=Where(LOCK))


def _check_unchanged(root: str, edit: FileEdit) -> None:
    path = Path(root, edit.file)
    found = path.read_bytes() if path.is_file() else b""
    if found != (edit.before or b""):  # a missing file and an empty one are the same to an edit
        raise RefusedError(
            "changed-meanwhile",
            "the file was changed by somebody else meanwhile; nothing was written",
            where=Where(edit.file),
            hint=["the same command again"],
        )

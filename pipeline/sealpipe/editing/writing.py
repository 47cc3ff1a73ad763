"""Changes to a repository's files as values, and the one place that writes them.

Editing functions return `FileEdit`s and touch nothing; `apply` writes them. A command's --dry-run is
everything but `apply`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sealpipe.errors import RefusedError, Where
from sealpipe.files import locked, write_atomic
from sealpipe.frozen import NamedTuple
from sealpipe.trees import JOURNAL

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
    made from. Of several files all change or none: what a failing disk interrupts is undone, and what a
    dying process leaves half done is finished by the next command (`finish`).
    """
    wanted = [edit for edit in edits if edit.before != edit.after]
    if not wanted:
        return
    Path(root, LOCK).parent.mkdir(parents=True, exist_ok=True)
    with _alone(root):
        _finish(root)
        for edit in wanted:
            _check_unchanged(root, edit)
            _sweep(root, edit.file)
        _sweep(root, JOURNAL)
        if len(wanted) > 1:
            write_atomic(Path(root, JOURNAL), _journal(wanted), mode=0o600)
        try:
            for edit in wanted:
                _write(root, edit)
        except BaseException:
            # A renamed file whose folder could not be synced counts as written. Where not even this can
            # be done, the journal stays.
            for edit in wanted:
                if _state(root, edit) == "after":
                    _write(root, edit, undo=True)
            Path(root, JOURNAL).unlink(missing_ok=True)
            raise
        Path(root, JOURNAL).unlink(missing_ok=True)


def finish(root: str) -> None:
    """Finish what a process that died had begun to write. Costs one look where there is nothing."""
    if Path(root, JOURNAL).exists():
        with _alone(root):
            _finish(root)


@contextmanager
def _alone(root: str) -> Iterator[None]:
    busy = False
    try:
        with locked(Path(root, LOCK), timeout=TIMEOUT):
            yield
    except TimeoutError:
        busy = True
    if busy:
        raise RefusedError("locked", "another sealpipe is writing in this repository", where=Where(LOCK))


def _finish(root: str) -> None:
    journal = Path(root, JOURNAL)
    if not journal.exists():
        return
    edits = _begun(journal.read_bytes())
    states = {_state(root, edit) for edit in edits}
    # Nothing written, or something that somebody has changed since: then it is theirs to go on.
    if states == {"before", "after"}:
        for edit in edits:
            _write(root, edit)
    for edit in edits:
        _sweep(root, edit.file)
    journal.unlink()


def _sweep(root: str, file: str) -> None:
    # Everybody who writes here holds the lock, so a temporary file was left by a process that died.
    path = Path(root, file)
    for left in path.parent.glob(f".{path.name}.*.tmp"):
        left.unlink(missing_ok=True)


def _journal(edits: Sequence[FileEdit]) -> bytes:
    rows = [
        [
            e.file,
            None if e.before is None else e.before.decode("latin-1"),
            e.after.decode("latin-1"),
            e.executable,
        ]
        for e in edits
    ]
    return json.dumps(rows).encode()


def _begun(data: bytes) -> list[FileEdit]:
    return [
        FileEdit(
            file, None if before is None else before.encode("latin-1"), after.encode("latin-1"), executable
        )
        for file, before, after, executable in json.loads(data)
    ]


def _state(root: str, edit: FileEdit) -> str:
    path = Path(root, edit.file)
    found = path.read_bytes() if path.is_file() else b""
    return "before" if found == (edit.before or b"") else "after" if found == edit.after else "other"


def _write(root: str, edit: FileEdit, *, undo: bool = False) -> None:
    path = Path(root, edit.file)
    if undo and edit.before is None:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    content = edit.after if not undo else edit.before or b""
    write_atomic(path, content, mode=0o755 if edit.executable else None)


def _check_unchanged(root: str, edit: FileEdit) -> None:
    if _state(root, edit) != "before":  # a missing file and an empty one are the same to an edit
        raise RefusedError(
            "changed-meanwhile",
            "the file was changed by somebody else meanwhile; nothing was written",
            where=Where(edit.file),
            hint=["the same command again"],
        )

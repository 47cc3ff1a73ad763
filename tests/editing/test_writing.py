"""Writing edits: all or nothing known, never over what somebody else wrote."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path

import pytest

from sealpipe.editing import writing
from sealpipe.editing.writing import JOURNAL, LOCK, FileEdit, apply, finish
from sealpipe.errors import RefusedError
from sealpipe.files import locked, write_atomic


def test_edits_are_written_with_their_folders_and_modes(tmp_path: Path) -> None:
    apply(str(tmp_path), [FileEdit("a/b/c.yaml", None, b"x"), FileEdit("hook", None, b"#!", executable=True)])
    assert (tmp_path / "a/b/c.yaml").read_bytes() == b"x"
    assert (tmp_path / "hook").stat().st_mode & 0o777 == 0o755


def test_a_file_that_changed_meanwhile_stops_all_of_them(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"1")
    (tmp_path / "two").write_bytes(b"somebody else's")
    with pytest.raises(RefusedError) as caught:
        apply(str(tmp_path), [FileEdit("one", b"1", b"2"), FileEdit("two", b"1", b"2")])
    assert caught.value.word == "changed-meanwhile"
    assert (tmp_path / "one").read_bytes() == b"1"
    with pytest.raises(RefusedError):
        apply(str(tmp_path), [FileEdit("two", None, b"new")])


def test_nothing_to_change_touches_nothing(tmp_path: Path) -> None:
    apply(str(tmp_path), [FileEdit("gone", b"same", b"same")])
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_is_held_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sealpipe.editing.writing.TIMEOUT", 0.05)
    (tmp_path / LOCK).parent.mkdir()
    with locked(tmp_path / LOCK), pytest.raises(RefusedError) as caught:
        apply(str(tmp_path), [FileEdit("one", None, b"1")])
    assert caught.value.word == "locked"
    assert not (tmp_path / "one").exists()


def both() -> list[FileEdit]:
    return [FileEdit("one", b"1", b"2"), FileEdit("two", b"1", b"2"), FileEdit("new", None, b"3")]


def contents(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in root.iterdir() if path.is_file()}


BEFORE, AFTER = {"one": b"1", "two": b"1"}, {"one": b"2", "two": b"2", "new": b"3"}


@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_disk_that_fails_at_a_later_file_leaves_all_of_them_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    for name, content in BEFORE.items():
        (tmp_path / name).write_bytes(content)
    calls = []

    def fail(path: Path, data: bytes, *, mode: int | None = None) -> None:
        calls.append(path)
        write_atomic(path, data, mode=mode)
        if len(calls) == at + 1:  # the journal is the first
            raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(writing, "write_atomic", fail)
    with pytest.raises(OSError, match="full"):
        apply(str(tmp_path), both())
    assert contents(tmp_path) == BEFORE
    assert not (tmp_path / JOURNAL).exists()


@pytest.mark.parametrize("at", [1, 2, 3, 4])
def test_what_a_dying_process_left_half_written_is_finished(tmp_path: Path, at: int) -> None:
    for name, content in BEFORE.items():
        (tmp_path / name).write_bytes(content)
    child = os.fork()
    if child == 0:
        calls = []

        def die(path: Path, data: bytes, *, mode: int | None = None) -> None:
            calls.append(path)
            if len(calls) == at:
                os.kill(os.getpid(), signal.SIGKILL)
            write_atomic(path, data, mode=mode)

        writing.write_atomic = die
        apply(str(tmp_path), both())
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    finish(str(tmp_path))
    for left in tmp_path.glob(".*.tmp"):
        pytest.fail(f"{left} is left")
    assert contents(tmp_path) == (BEFORE if at <= 2 else AFTER)
    assert not (tmp_path / JOURNAL).exists()
    apply(str(tmp_path), [FileEdit("two", contents(tmp_path)["two"], b"4")])
    assert contents(tmp_path)["two"] == b"4"


def test_what_somebody_has_changed_since_is_not_finished(tmp_path: Path) -> None:
    (tmp_path / ".sealpipe").mkdir()
    for name, content in {"one": b"2", "two": b"mine"}.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / JOURNAL).write_bytes(writing._journal(both()))
    finish(str(tmp_path))
    assert contents(tmp_path) == {"one": b"2", "two": b"mine"}
    assert not (tmp_path / JOURNAL).exists()

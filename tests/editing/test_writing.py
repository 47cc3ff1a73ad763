"""Writing edits: all or nothing known, never over what somebody else wrote."""

from __future__ import annotations

from pathlib import Path

import pytest

from sealpipe.editing.writing import LOCK, FileEdit, apply
from sealpipe.errors import RefusedError
from sealpipe.files import locked


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

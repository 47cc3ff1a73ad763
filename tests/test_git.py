"""Answers about real repositories."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from repositories import commit, git, write
from sealpipe import git as ours
from sealpipe.errors import SealpipeError, UsageError


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    commit(folder, {"a.yaml": "one: 1\ntwo: 2\n", "conf/b.yaml": "x: 1\n"}, "first")
    return folder


def test_outside_git_there_is_no_answer(tmp_path: Path) -> None:
    assert ours.toplevel(tmp_path) is None
    assert ours.head(tmp_path) == ours.Head("", "", "", False)
    assert ours.hooks_folder(tmp_path) is None
    assert ours.log_of_line(tmp_path, "a", 1) is None


def test_without_git_installed_there_is_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert ours.toplevel(tmp_path) is None
    assert ours.head(tmp_path) == ours.Head()
    with pytest.raises(SealpipeError, match="git was not found"):
        ours.run(["status"], cwd=tmp_path)


def test_failure_carries_gits_words(repo: Path) -> None:
    with pytest.raises(SealpipeError, match=r"git show failed: .*nothere") as caught:
        ours.run(["show", "nothere"], cwd=repo)
    assert caught.value.word == "git"
    with pytest.raises(SealpipeError, match="there is no folder"):
        ours.run(["status"], cwd=repo / "none")


def test_a_repository_of_somebody_else_is_not_taken_for_none(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    monkeypatch.setattr(ours, "_KEPT", (*ours._KEPT, "GIT_TEST"))
    with pytest.raises(SealpipeError, match="dubious ownership") as caught:
        ours.toplevel(repo)
    assert any("safe.directory" in hint for hint in caught.value.finding.hint)
    with pytest.raises(SealpipeError, match="dubious ownership"):
        ours.head(repo)


def test_head(repo: Path) -> None:
    head = ours.head(repo)
    assert head.commit == git(repo, "rev-parse", "HEAD")
    assert head.tree == git(repo, "rev-parse", "HEAD^{tree}")
    assert head.branch == "main"
    assert not head.dirty
    write(repo, {"new.yaml": "x"})
    assert ours.head(repo).dirty
    assert ours.is_dirty(repo)
    assert not ours.head(repo / "conf").dirty
    write(repo, {"conf/b.yaml": "x: 2\n"})
    assert ours.head(repo / "conf").dirty


def test_head_detached_and_unborn(repo: Path, tmp_path: Path) -> None:
    git(repo, "checkout", "-q", "--detach")
    assert ours.head(repo).branch == ""
    assert ours.head(repo).commit
    empty = tmp_path / "empty"
    empty.mkdir()
    git(empty, "init", "-q")
    assert ours.head(empty) == ours.Head("", "", "main", False)
    write(empty, {"a": "x"})
    assert ours.head(empty).dirty
    assert ours.toplevel(empty) == str(empty.resolve())


def test_what_hooks_leave_behind_is_ignored(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    commit(other, {"o": "o"})
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / "nothing"))
    assert ours.toplevel(repo) == str(repo.resolve())
    assert not ours.head(repo).dirty


def test_ignored_files_are_told_apart(repo: Path) -> None:
    commit(repo, {".gitignore": "conf/hidden.yaml\n"})
    write(repo, {"conf/hidden.yaml": "x: 1\n"})
    assert not ours.is_dirty(repo)
    assert ours.ignored_files(repo, ["conf"]) == ["conf/hidden.yaml"]


def test_ancestors(repo: Path) -> None:
    first = git(repo, "rev-parse", "HEAD")
    second = commit(repo, {"a.yaml": "one: 2\n"})
    git(repo, "checkout", "-q", "-b", "side", first)
    side = commit(repo, {"s": "s"})
    assert ours.is_ancestor(repo, first, second) is True
    assert ours.is_ancestor(repo, first, first) is True
    assert ours.is_ancestor(repo, second, first) is False
    assert ours.is_ancestor(repo, side, second) is False
    assert ours.is_ancestor(repo, "0" * 40, second) is None
    assert ours.is_ancestor(repo, "f" * 40, "main") is None
    assert ours.merge_base(repo, side, second) == first
    assert ours.merge_base(repo, side, "f" * 40) is None


def test_a_shallow_clone_does_not_say_no(repo: Path, tmp_path: Path) -> None:
    first = git(repo, "rev-parse", "HEAD")
    commit(repo, {"a.yaml": "one: 2\n"})
    last = commit(repo, {"a.yaml": "one: 3\n"})
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{repo}", "shallow")
    shallow = tmp_path / "shallow"
    assert ours.is_shallow(shallow)
    assert not ours.is_shallow(repo)
    assert ours.is_ancestor(shallow, first, last) is None
    assert ours.is_ancestor(shallow, last, last) is True
    # Both ends are known, the history between them is cut: undecidable, not false.
    git(shallow, "fetch", "-q", "--depth", "1", "origin", first)
    assert ours.resolve(shallow, first) == first
    assert ours.is_ancestor(shallow, first, last) is None


def test_pushed(repo: Path, tmp_path: Path) -> None:
    first = git(repo, "rev-parse", "HEAD")
    assert not ours.is_pushed(repo, first, "main")
    git(tmp_path, "init", "-q", "--bare", "remote")
    git(repo, "remote", "add", "origin", str(tmp_path / "remote"))
    git(repo, "push", "-q", "origin", "main")
    assert ours.is_pushed(repo, first, "main")
    assert not ours.is_pushed(repo, first, "release")
    second = commit(repo, {"b": "b"})
    assert not ours.is_pushed(repo, second, "main")
    git(repo, "push", "-q", "origin", "main:other")
    assert not ours.is_pushed(repo, second, "main")
    # Somebody's fork with a branch of the same name does not count.
    git(tmp_path, "init", "-q", "--bare", "fork")
    git(repo, "remote", "add", "fork", str(tmp_path / "fork"))
    git(repo, "push", "-q", "fork", "main")
    assert not ours.is_pushed(repo, second, "main")
    git(repo, "push", "-q", "origin", "main")
    assert ours.is_pushed(repo, second, "main")


def test_file_at(repo: Path) -> None:
    first = git(repo, "rev-parse", "HEAD")
    commit(repo, {"conf/b.yaml": "x: 2\n"})
    assert ours.file_at(repo, first, "conf/b.yaml") == b"x: 1\n"
    assert ours.file_at(repo / "conf", first, "b.yaml") == b"x: 1\n"
    assert ours.file_at(repo, "main", "conf/b.yaml") == b"x: 2\n"
    assert ours.file_at(repo, first, "conf") is None
    assert ours.file_at(repo, first, "none.yaml") is None
    assert ours.file_at(repo, "nothere", "a.yaml") is None


@pytest.mark.parametrize("ref", ["--output=x", "-x", "", "a b", "HEAD:a", "a\nb"])
def test_options_are_no_refs(repo: Path, ref: str) -> None:
    for call in (ours.resolve, lambda f, r: ours.file_at(f, r, "a.yaml"), ours.changed_files):
        with pytest.raises(UsageError) as caught:
            call(repo, ref)
        assert caught.value.word == "bad-ref"
    with pytest.raises(UsageError):
        ours.is_ancestor(repo, "main", ref)


def test_who_changed_a_line(repo: Path) -> None:
    now = int(time.time())
    changed = commit(
        repo, {"a.yaml": "one: 1\ntwo: 3\n"}, "pool for Black Friday", when=now - 2 * 86_400 - 50
    )
    found = ours.log_of_line(repo, "a.yaml", 2)
    assert found == ours.BlameLine(changed, "Anna", "2 days ago", "pool for Black Friday")
    assert ours.log_of_line(repo / "conf", "b.yaml", 1) is not None
    write(repo, {"a.yaml": "one: 1\ntwo: 4\n"})
    found = ours.log_of_line(repo, "a.yaml", 2)
    assert found is not None
    assert found.commit == ""
    assert found.when == "not committed"
    assert ours.log_of_line(repo, "a.yaml", 9) is None
    write(repo, {"untracked.yaml": "x: 1\n"})
    assert ours.log_of_line(repo, "untracked.yaml", 1) is None


@pytest.mark.parametrize(
    ("passed", "text"),
    [
        (0, "0 seconds ago"), (1, "1 second ago"), (119, "119 seconds ago"), (120, "2 minutes ago"),
        (7199, "119 minutes ago"), (-5, "0 seconds ago"), (7200, "2 hours ago"), (2 * 86_400, "2 days ago"),
        (13 * 86_400, "13 days ago"),
        (14 * 86_400, "2 weeks ago"), (70 * 86_400, "2 months ago"), (800 * 86_400, "2 years ago"),
    ],
)  # fmt: skip
def test_relative_times(passed: int, text: str) -> None:
    assert ours.relative_time(1_000_000_000 - passed, 1_000_000_000) == text


def test_changed_files(repo: Path) -> None:
    first = git(repo, "rev-parse", "HEAD")
    commit(repo, {"conf/c.yaml": "c: 1\n", "deep/d d.yaml": "d: 1\n"})
    write(repo, {"conf/b.yaml": "x: 9\n", "conf/new é.yaml": "n: 1\n"})
    (repo / "a.yaml").unlink()
    assert ours.changed_files(repo, first) == [
        "a.yaml", "conf/b.yaml", "conf/c.yaml", "conf/new é.yaml", "deep/d d.yaml",
    ]  # fmt: skip
    assert ours.changed_files(repo / "conf", first) == ["b.yaml", "c.yaml", "new é.yaml"]
    assert ours.changed_files(repo, "HEAD") == ["a.yaml", "conf/b.yaml", "conf/new é.yaml"]
    with pytest.raises(SealpipeError, match="does not know"):
        ours.changed_files(repo, "f" * 40)


def test_versions_of_a_file_side_branches_included(repo: Path) -> None:
    first = git(repo, "rev-parse", "HEAD")
    commit(repo, {"trust/dev.yaml": "version: 1\n"})
    git(repo, "checkout", "-q", "-b", "side")
    side = commit(repo, {"trust/dev.yaml": "version: 2\n"})
    git(repo, "checkout", "-q", "main")
    commit(repo, {"trust/dev.yaml": "version: 3\n"})
    git(repo, "merge", "-q", "-s", "ours", "-m", "merge", "side")
    (repo / "trust" / "dev.yaml").unlink()
    removed = commit(repo)
    found = list(ours.versions_of(repo, ["HEAD", "nothere"], "trust/dev.yaml"))
    assert sorted(found) == [b"version: 1\n", b"version: 2\n", b"version: 3\n"]
    assert list(ours.versions_of(repo, [first], "trust/dev.yaml")) == []
    assert list(ours.versions_of(repo, ["nothere"], "trust/dev.yaml")) == []
    assert sorted(ours.versions_of(repo / "trust", ["HEAD"], "dev.yaml")) == sorted(found)
    touching = ours.commits_touching(repo, ["HEAD", "nothere"], "trust/dev.yaml")
    assert removed == touching[0]
    assert side in touching
    assert first not in touching
    assert ours.commits_touching(repo, ["nothere"], "a.yaml") == []


def test_versions_of_a_file_that_the_first_commit_has(repo: Path) -> None:
    assert list(ours.versions_of(repo, ["HEAD"], "a.yaml")) == [b"one: 1\ntwo: 2\n"]


def test_hooks_folder(repo: Path, tmp_path: Path) -> None:
    assert ours.hooks_folder(repo / "conf") == str((repo / ".git" / "hooks").resolve())
    git(repo, "config", "core.hooksPath", str(tmp_path / "shared"))
    assert ours.hooks_folder(repo) == str((tmp_path / "shared").resolve())


def test_prefix_and_user_name(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ours.prefix(repo) == ""
    assert ours.prefix(repo / "conf") == "conf/"
    assert ours.user_name(repo) == "Anna Example"  # GIT_AUTHOR_NAME
    monkeypatch.delenv("GIT_AUTHOR_NAME")
    assert ours.user_name(repo) == ""
    git(repo, "config", "user.name", "Ben")
    assert ours.user_name(repo) == "Ben"


def test_version() -> None:
    assert ours.version() >= (2, 20)


def test_the_environment_asks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", "x")
    monkeypatch.setenv("GIT_SSH_COMMAND", "ssh -i key")
    found = ours.clean_environment()
    assert found["GIT_TERMINAL_PROMPT"] == "0"
    assert "GIT_DIR" not in found
    assert found["GIT_SSH_COMMAND"] == "ssh -i key"
    assert os.environ["GIT_DIR"] == "x"

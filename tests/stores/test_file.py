"""What is the folder store's own: crashes, links, permissions, foreign files."""

from __future__ import annotations

import errno
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from sealpipe.errors import (
    ConflictError,
    DeniedError,
    FullError,
    MalformedError,
    OutcomeUnknownError,
    StoreError,
    UnavailableError,
    UnsupportedError,
    UsageError,
)
from sealpipe.stores import file as module
from sealpipe.stores.base import ABSENT, Check, Delete, Put
from sealpipe.stores.file import FileStore, open_url, version_of

HEAD = "dev/heads/a"


@pytest.fixture
def store(tmp_path):
    return FileStore(tmp_path / "store", poll=0.02)


def files(store):
    folder = store._folder
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_read_makes_nothing(store):
    assert store.get(HEAD) is None
    assert store.keys("") == []
    assert store.wait(HEAD, ABSENT, timeout=0) is False
    store.write([Delete(HEAD)])
    assert not store._folder.exists()


def test_a_check_in_an_empty_place(store):
    store.write([Check(HEAD, ABSENT)])
    with pytest.raises(StoreError) as caught:
        store.write([Check(HEAD, "x")])
    assert caught.value.word == "conflict"


def test_layout_on_disk(store):
    store.write([Put(HEAD, b"one", ABSENT)])
    assert files(store) == [".lock", HEAD]
    assert (store._folder / HEAD).read_bytes() == b"one"
    assert store.get(HEAD).version == version_of(b"one")


def test_a_delete_takes_empty_folders_along_and_no_others(store):
    store.write([Put("dev/chunks/a/1-x/0", b"", ABSENT)])
    store.write([Put("dev/chunks/a/1-x/1", b"", ABSENT)])
    store.write([Put("dev/chunks/b/1-y/0", b"", ABSENT)])
    store.write([Delete("dev/chunks/a/1-x/0")])
    assert (store._folder / "dev/chunks/a/1-x").exists()
    store.write([Delete("dev/chunks/a/1-x/1")])
    assert not (store._folder / "dev/chunks/a").exists()
    assert store.keys("dev/") == ["dev/chunks/b/1-y/0"]


def test_foreign_names_are_no_keys(store):
    store.write([Put(HEAD, b"1", ABSENT)])
    folder = store._folder / "dev/heads"
    (folder / "a~").write_bytes(b"backup of an editor")
    (folder / ".a.swp").write_bytes(b"")
    (store._folder / ".git").mkdir()
    (store._folder / ".git/config").write_bytes(b"")
    assert store.keys("") == [HEAD]


def test_the_start_of_a_key_is_no_key(store):
    store.write([Put(HEAD, b"1", ABSENT)])
    assert store.get("dev/heads") is None


@pytest.mark.parametrize("kind", ["file", "folder", "dangling"])
def test_links_below_the_folder_are_not_followed(store, tmp_path, kind):
    store.write([Put("dev/state", b"1", ABSENT)])
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a").write_bytes(b"not ours")
    if kind == "folder":
        (store._folder / "dev/heads").symlink_to(outside)
    else:
        (store._folder / "dev/heads").mkdir()
        (store._folder / HEAD).symlink_to(outside / ("a" if kind == "file" else "nothing"))
    for action in (
        lambda: store.get(HEAD),
        lambda: store.keys("dev/"),
        lambda: list(store.scan("dev/heads/")),
        lambda: store.write([Put(HEAD, b"2", ABSENT)]),
        lambda: store.write([Delete(HEAD, version_of(b"not ours"))]),
    ):
        with pytest.raises(MalformedError):
            action()
    assert [(p.name, p.read_bytes()) for p in outside.iterdir()] == [("a", b"not ours")]


def test_a_write_without_expectation_replaces_a_link_itself(store, tmp_path):
    outside = tmp_path / "outside"
    outside.write_bytes(b"not ours")
    store.write([Put("dev/heads/b", b"1", ABSENT)])
    (store._folder / HEAD).symlink_to(outside)
    store.write([Put(HEAD, b"2", None)])
    assert outside.read_bytes() == b"not ours"
    assert store.get(HEAD).value == b"2"


def test_the_lock_is_no_link(store, tmp_path):
    store._folder.mkdir()
    (store._folder / ".lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(MalformedError):
        store.write([Put(HEAD, b"1", ABSENT)])
    assert not (tmp_path / "elsewhere").exists()


def test_the_folder_itself_may_be_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    FileStore(tmp_path / "link").write([Put(HEAD, b"1", ABSENT)])
    assert FileStore(tmp_path / "real").get(HEAD).value == b"1"


def test_a_fifo_does_not_hold_a_reader(store):
    store.write([Put("dev/heads/b", b"1", ABSENT)])
    os.mkfifo(store._folder / HEAD)
    started = time.monotonic()
    with pytest.raises(MalformedError):
        store.get(HEAD)
    with pytest.raises(MalformedError):
        store.keys("dev/")
    assert time.monotonic() - started < 5


def test_a_value_above_the_limit_is_not_read_into_memory(store):
    store.write([Put("dev/heads/b", b"1", ABSENT)])
    with (store._folder / HEAD).open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(MalformedError):
        store.get(HEAD)


def test_a_file_where_the_folder_should_be(tmp_path):
    (tmp_path / "store").write_bytes(b"")
    for action in (
        lambda: FileStore(tmp_path / "store").get(HEAD),
        lambda: FileStore(tmp_path / "store").write([Put(HEAD, b"1", ABSENT)]),
    ):
        with pytest.raises(MalformedError):
            action()


# ---- errors of the disk


class Disk:
    """Stands for `os` in the store: fails, or dies, at one chosen call."""

    CHANGES = ("open", "write", "fsync", "rename", "unlink", "mkdir", "rmdir", "close")

    def __init__(self, at, then):
        self.calls = 0
        self.names = []
        self._at, self._then = at, then

    def __getattr__(self, name):
        real = getattr(os, name)
        if name not in self.CHANGES:
            return real

        def call(*args, **options):
            self.calls += 1
            self.names.append(name)
            if self.calls == self._at:
                self._then(name)
            return real(*args, **options)

        return call


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, FullError),
        (errno.EDQUOT, FullError),
        (errno.EACCES, DeniedError),
        (errno.EROFS, DeniedError),
        (errno.EIO, UnavailableError),
    ],
)
def test_errors_of_the_disk_have_their_kind_and_leave_the_old_value(store, monkeypatch, number, kind):
    store.write([Put(HEAD, b"old", ABSENT)])
    monkeypatch.setattr(module, "_write_file", lambda *_: (_ for _ in ()).throw(OSError(number, "x")))
    with pytest.raises(kind) as caught:
        store.write([Put(HEAD, b"new", version_of(b"old"))])
    assert not isinstance(caught.value, OutcomeUnknownError)
    assert store.get(HEAD).value == b"old"
    assert files(store) == [".lock", HEAD]


def test_a_failed_sync_after_the_change_is_an_unknown_outcome(store, monkeypatch):
    store.write([Put(HEAD, b"old", ABSENT)])

    def fail(name):
        raise OSError(errno.EIO, name)

    counting = Disk(0, fail)
    monkeypatch.setattr(module, "os", counting)
    store.write([Put(HEAD, b"mid", None)])
    syncs = [number for number, name in enumerate(counting.names, 1) if name == "fsync"]
    monkeypatch.setattr(module, "os", Disk(syncs[-1], fail))
    with pytest.raises(OutcomeUnknownError):
        store.write([Put(HEAD, b"new", None)])
    monkeypatch.setattr(module, "os", os)
    assert store.get(HEAD).value == b"new"


def test_every_failing_call_is_a_store_error_and_changes_all_or_nothing(store, monkeypatch):
    def fail(name):
        raise OSError(errno.EIO, name)

    for at in range(1, 60):
        monkeypatch.setattr(module, "os", os)
        store.write([Put(HEAD, b"old", None)])
        disk = Disk(at, fail)
        monkeypatch.setattr(module, "os", disk)
        failed = None
        try:
            store.write([Put(HEAD, b"new", version_of(b"old"))])
        except StoreError as error:
            failed = error
        monkeypatch.setattr(module, "os", os)
        found = store.get(HEAD).value
        if failed is not None and not isinstance(failed, OutcomeUnknownError):
            assert found == b"old" or disk.names[at - 1] == "close", (at, disk.names)
        elif failed is None:
            assert found == b"new"
        if disk.calls < at:
            return
    raise AssertionError("a write made 60 calls")


# ---- dying at every step


def in_a_child(action, at):
    """Run `action` in a child that is killed just before its `at`-th change. Whether it lived."""
    child = os.fork()
    if child == 0:
        try:
            module.os = Disk(at, lambda _: os.kill(os.getpid(), signal.SIGKILL))
            action()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFEXITED(status)


ACTIONS = {
    "create": ([], Put(HEAD, b"new" * 5000, ABSENT), None, b"new" * 5000),
    "swap": ([Put(HEAD, b"old", ABSENT)], Put(HEAD, b"new", version_of(b"old")), b"old", b"new"),
    "delete": ([Put(HEAD, b"old", ABSENT)], Delete(HEAD, version_of(b"old")), b"old", None),
}


@pytest.mark.parametrize("name", ACTIONS)
def test_dying_at_every_step_leaves_the_old_or_the_new(tmp_path, name):
    before, op, old, new = ACTIONS[name]
    seen = set()
    for at in range(1, 80):
        store = FileStore(tmp_path / str(at))
        for step in before:
            store.write([step])
        lived = in_a_child(lambda store=store: store.write([op]), at)
        entry = store.get(HEAD)
        found = entry.value if entry else None
        assert found in (old, new), (name, at)
        seen.add(found)
        assert set(store.keys("")) <= {HEAD}
        # Nothing is left that hinders the next publisher, and what was left is swept.
        if found == old:
            store.write([op])
        store.write([Put("dev/heads/b", b"b", ABSENT)])
        assert not list(store._folder.glob(".tmp-*"))
        entry = store.get(HEAD)
        assert (entry.value if entry else None) == new
        if lived:
            assert found == new
            assert seen == {old, new}
            return
    raise AssertionError("the child never came to its end")


def test_dying_while_holding_the_lock_frees_it(store):
    store.write([Put(HEAD, b"old", ABSENT)])
    in_a_child(lambda: store.write([Put(HEAD, b"new", None)]), 4)
    started = time.monotonic()
    store.write([Put(HEAD, b"next", None)], timeout=5)
    assert time.monotonic() - started < 4


def test_processes_count_up_one_key(store):
    """Compare-and-swap between processes, some of which are killed in the middle of a write."""
    store.write([Put(HEAD, b"0", ABSENT)])

    def count(at):
        module.os = Disk(at, lambda _: os.kill(os.getpid(), signal.SIGKILL))
        won = 0
        while won < 15:
            entry = store.get(HEAD)
            try:
                store.write([Put(HEAD, b"%d" % (int(entry.value) + 1), entry.version)], timeout=30)
            except ConflictError:
                continue
            won += 1

    children = []
    for at in (0, 0, 0, 97):  # the last one dies at its 97th call
        child = os.fork()
        if child == 0:
            code = 1
            try:
                count(at)
                code = 0
            finally:
                os._exit(code)
        children.append(child)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert codes[:3] == [0, 0, 0]
    assert codes[3] == -signal.SIGKILL
    assert 45 <= int(store.get(HEAD).value) < 60


def test_a_held_lock_is_waited_for_and_then_named(store):
    from sealpipe.files import locked

    store.write([Put(HEAD, b"old", ABSENT)])
    with locked(store._folder / ".lock"):
        with pytest.raises(UnavailableError) as caught:
            store.write([Put(HEAD, b"new", None)], timeout=0.1)
        assert caught.value.word == "store-locked"
        assert store.get(HEAD).value == b"old"  # readers need no lock
    store.write([Put(HEAD, b"new", None)])


def test_a_change_is_noticed_soon(store):
    store.write([Put(HEAD, b"old", ABSENT)])
    threading.Timer(0.1, lambda: store.write([Put(HEAD, b"new", None)])).start()
    started = time.monotonic()
    assert store.wait(HEAD, version_of(b"old"), timeout=10)
    assert time.monotonic() - started < 3
    assert store.wait(HEAD, version_of(b"new"), timeout=0.05) is False


def test_an_unprivileged_reader_is_denied(store):
    if os.geteuid() == 0:
        store.write([Put(HEAD, b"old", ABSENT)])
        (store._folder / HEAD).chmod(0)
        store._folder.chmod(0o700)
        child = os.fork()
        if child == 0:
            os.setuid(65534)
            try:
                store.get(HEAD)
            except DeniedError:
                os._exit(7)
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    else:
        store.write([Put(HEAD, b"old", ABSENT)])
        (store._folder / HEAD).chmod(0)
        with pytest.raises(DeniedError):
            store.get(HEAD)


# ---- several writes at once

SEVERAL = [
    [Check("dev/state", version_of(b"fence")), Put(f"dev/heads/{n}", b"new", version_of(b"old"))]
    for n in "abc"
]
SEVERAL += [[Put(f"dev/releases/{n}/1", b"new", ABSENT)] for n in "abc"]
CHANGED = [ops[-1].key for ops in SEVERAL]


def with_old(folder):
    store = FileStore(folder)
    for key in ("dev/heads/a", "dev/heads/b", "dev/heads/c"):
        store.write([Put(key, b"old", ABSENT)])
    store.write([Put("dev/state", b"fence", ABSENT)])
    return store


def values(store):
    return [entry.value if (entry := store.get(key)) else None for key in CHANGED]


def test_each_write_is_made_and_answered(tmp_path):
    store = with_old(tmp_path)
    assert store.write_each(SEVERAL) == [None] * 6
    assert values(store) == [b"new"] * 6
    assert store.write_each([]) == []


def test_the_first_failure_ends_the_row_and_what_was_before_stays(tmp_path):
    store = with_old(tmp_path)
    store.write([Put("dev/heads/c", b"theirs", None)])
    *made, failure = store.write_each(SEVERAL)
    assert made == [None, None]
    assert isinstance(failure, ConflictError)
    assert values(store) == [b"new", b"new", b"theirs", None, None, None]


def test_a_fence_that_moved_stops_all(tmp_path):
    store = with_old(tmp_path)
    store.write([Put("dev/state", b"newer", None)])
    (failure,) = store.write_each(SEVERAL)
    assert isinstance(failure, ConflictError)
    assert values(store) == [b"old"] * 3 + [None] * 3


def test_what_stands_in_the_way_of_one_is_said_of_that_one(tmp_path):
    store = with_old(tmp_path)
    (tmp_path / "dev/releases/b").parent.mkdir()
    (tmp_path / "dev/releases/b").symlink_to(tmp_path)
    *made, failure = store.write_each(SEVERAL)
    assert made == [None] * 4
    assert isinstance(failure, MalformedError)
    assert store.get(CHANGED[3]).value == b"new"
    assert not list(tmp_path.glob(".tmp-*"))


@pytest.mark.parametrize(
    "writes",
    [
        [[Put("dev/heads/a", b"1", None)], [Put("dev/heads/a", b"2", None)]],
        [[Put("dev/heads/a", b"1", None)], [Check("dev/heads/a", ABSENT), Put("dev/heads/b", b"2", None)]],
        [[Put("dev/heads/a", b"1", None)], [Delete("dev/heads/b")]],
        [[Put("dev/heads/a", b"1", None)], [Check("dev/heads/b", ABSENT)]],
        [[Put("dev/heads/a", b"1", None), Put("dev/heads/b", b"1", None)]],
    ],
)
def test_writes_that_depend_on_each_other_are_refused(store, writes):
    with pytest.raises(UnsupportedError):
        store.write_each(writes)
    assert store.keys("") == []


def test_contents_are_on_disk_before_names_and_names_before_the_answer(tmp_path, monkeypatch):
    store = with_old(tmp_path)
    disk = Disk(0, lambda _: None)
    monkeypatch.setattr(module, "os", disk)
    store.write_each(SEVERAL)
    names = [name for name in disk.names if name in ("write", "fsync", "rename", "mkdir")]
    first, last = names.index("rename"), len(names) - 1 - names[::-1].index("rename")
    assert names[first : last + 1] == ["rename"] * 6
    # Folders that are new: releases, then the three in it; then the contents of six files.
    assert names[:first].count("write") == 6
    assert names[:first].count("fsync") == 2 + 6
    assert names[first - 1] == "fsync"
    assert names[last + 1 :] == ["fsync"] * 4


def test_dying_at_every_step_of_several_leaves_each_old_or_new(tmp_path):
    seen = set()
    for at in range(1, 200):
        store = with_old(tmp_path / str(at))
        lived = in_a_child(lambda store=store: store.write_each(SEVERAL), at)
        found = values(store)
        assert all(value in (b"old", b"new") for value in found[:3]), at
        assert all(value in (None, b"new") for value in found[3:]), at
        # In this order: what comes later is never there without what comes before.
        assert found == sorted(found, key=lambda value: value != b"new"), at
        seen.add(found.count(b"new"))
        rest = [ops for ops, value in zip(SEVERAL, found, strict=True) if value != b"new"]
        assert store.write_each(rest) == [None] * len(rest)
        assert values(store) == [b"new"] * 6
        store.write([Put("dev/heads/d", b"d", ABSENT)])
        assert not list(store._folder.glob(".tmp-*"))
        if lived:
            assert seen == set(range(7))
            return
    raise AssertionError("the child never came to its end")


def test_every_failing_call_of_several_is_an_answer_that_is_true(tmp_path, monkeypatch):
    def fail(name):
        raise OSError(errno.EIO, name)

    for at in range(1, 200):
        monkeypatch.setattr(module, "os", os)
        store = with_old(tmp_path / str(at))
        disk = Disk(at, fail)
        monkeypatch.setattr(module, "os", disk)
        answers = store.write_each(SEVERAL)
        monkeypatch.setattr(module, "os", os)
        found, failed = values(store), [*disk.names, *["nothing"] * at][at - 1]
        assert all(answer is None or isinstance(answer, StoreError) for answer in answers)
        for number, value in enumerate(found):
            answer = answers[number] if number < len(answers) else "not tried"
            if answer is None:
                assert value == b"new", (at, disk.names)
            elif not isinstance(answer, OutcomeUnknownError) and failed != "close":
                assert value != b"new", (at, disk.names)
        assert failed in ("close", "unlink") or not list(store._folder.glob(".tmp-*"))
        if disk.calls < at:
            return
    raise AssertionError("several writes made 200 calls")


# ---- URLs


@pytest.mark.parametrize(
    ("url", "folder"),
    [
        ("file:.sealpipe/store", "/repo/.sealpipe/store"),
        ("file:/var/lib/store", "/var/lib/store"),
        ("file:///var/lib/store", "/var/lib/store"),
        ("file://localhost/var/lib/store", "/var/lib/store"),
        ("file:../elsewhere", "/repo/../elsewhere"),
        ("file:with space/ä?#", "/repo/with space/ä?#"),
    ],
)
def test_urls(url, folder):
    store, prefix = open_url(url, base="/repo")
    assert store._folder == Path(folder)
    assert prefix == ""


@pytest.mark.parametrize("url", ["file:", "file://host/path", "file://host", "file:a\0b"])
def test_urls_that_are_none(url):
    with pytest.raises(UsageError) as caught:
        open_url(url, base="/repo")
    assert caught.value.word == "bad-store-url"

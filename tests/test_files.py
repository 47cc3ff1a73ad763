"""Atomic writes, locks and private folders, on real files and with real processes."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sealpipe import files
from sealpipe.files import locked, private_folder, write_atomic

PIPELINE = Path(files.__file__).parent.parent


def python(code: str, *args: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *args],
        env={**os.environ, "PYTHONPATH": str(PIPELINE)},
        stdout=subprocess.PIPE,
        text=True,
    )


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_replaces_content_and_leaves_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "file"
    write_atomic(target, b"one")
    write_atomic(target, b"two" * 100_000)
    assert target.read_bytes() == b"two" * 100_000
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_keeps_the_mode_of_an_existing_file(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"one")
    target.chmod(0o640)
    write_atomic(target, b"two")
    assert mode_of(target) == 0o640
    write_atomic(target, b"three", mode=0o600)
    assert mode_of(target) == 0o600


def test_a_new_file_follows_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_atomic(tmp_path / "file", b"x")
    finally:
        os.umask(before)
    assert mode_of(tmp_path / "file") == 0o640


def test_a_private_file_is_never_readable_by_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    real = os.fsync

    def look(descriptor: int) -> None:
        seen.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", look)
    write_atomic(tmp_path / "key", b"secret", mode=0o600)
    assert seen[0] == 0o600


def test_follows_a_link_so_that_it_survives(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"one")
    (tmp_path / "link").symlink_to("real")
    write_atomic(tmp_path / "link", b"two")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"two"


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"one")

    def full(_descriptor: int, _data: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        write_atomic(target, b"two")
    assert target.read_bytes() == b"one"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_killed_writer_leaves_old_or_new(tmp_path: Path) -> None:
    target = tmp_path / "file"
    write_atomic(target, b"0" * 300_000)
    code = """
import sys
from sealpipe.files import write_atomic
print("go", flush=True)
n = 0
while True:
    n += 1
    write_atomic(sys.argv[1], str(n % 10).encode() * 300_000)
"""
    for pause in (0.0, 0.01, 0.03):
        with python(code, str(target)) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(pause)
            writer.kill()
        content = target.read_bytes()
        assert len(content) == 300_000
        assert len(set(content)) == 1


def test_readers_never_see_a_part(tmp_path: Path) -> None:
    target = tmp_path / "file"
    write_atomic(target, b"a" * 200_000)
    stop = threading.Event()

    def write() -> None:
        for letter in b"bcdefgh" * 3:
            write_atomic(target, bytes([letter]) * 200_000)
        stop.set()

    thread = threading.Thread(target=write)
    thread.start()
    while not stop.is_set():
        content = target.read_bytes()
        assert len(content) == 200_000
        assert len(set(content)) == 1
    thread.join()


def test_lock_excludes_threads_and_times_out(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with locked(lock):
        begun = time.monotonic()
        with pytest.raises(TimeoutError, match="locked"), locked(lock, timeout=0.15):
            pytest.fail("two hold the lock")
        assert 0.1 < time.monotonic() - begun < 5
    with locked(lock, timeout=0):
        pass


def test_lock_counts_right_among_processes(tmp_path: Path) -> None:
    counter, lock = tmp_path / "counter", tmp_path / "lock"
    counter.write_text("0")
    code = """
import sys
from pathlib import Path
from sealpipe.files import locked
for _ in range(100):
    with locked(sys.argv[2], timeout=60):
        path = Path(sys.argv[1])
        path.write_text(str(int(path.read_text()) + 1))
"""
    workers = [python(code, str(counter), str(lock)) for _ in range(3)]
    assert [worker.wait(120) for worker in workers] == [0, 0, 0]
    for worker in workers:
        worker.communicate()
    assert counter.read_text() == "300"


def test_lock_ends_with_its_process(tmp_path: Path) -> None:
    code = """
import sys, time
from sealpipe.files import locked
with locked(sys.argv[1]):
    print("held", flush=True)
    while True: time.sleep(0.1)  # one that is long may begin between a signal and its handler
"""
    with python(code, str(tmp_path / "lock")) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(TimeoutError), locked(tmp_path / "lock", timeout=0):
            pytest.fail("two hold the lock")
        holder.kill()
    with locked(tmp_path / "lock", timeout=5):
        pass


def test_a_removed_lock_file_does_not_let_two_in(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    order: list[str] = []

    def second() -> None:
        with locked(lock, timeout=10):
            order.append("second")
            with pytest.raises(TimeoutError), locked(lock, timeout=0):
                pytest.fail("two hold the lock")

    with locked(lock):
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.1)
        lock.unlink()
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_a_lock_through_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to("elsewhere")
    with pytest.raises(OSError, match=r"symbolic|links"), locked(tmp_path / "lock"):
        pytest.fail("followed a link")


def test_private_folder_is_private_and_goes_away() -> None:
    with private_folder() as folder:
        assert mode_of(folder) == 0o700
        (folder / "deep").mkdir()
        (folder / "deep" / "secret").write_text("x")
    assert not folder.exists()


def test_private_folder_is_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with private_folder() as folder:
        assert folder.parent == tmp_path
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "missing"))
    if os.access("/dev/shm", os.W_OK):
        with private_folder() as folder:
            assert folder.parent == Path("/dev/shm")


def test_private_folder_goes_away_when_the_block_fails() -> None:
    with pytest.raises(ValueError, match="inside"), private_folder() as folder:
        raise ValueError("inside")
    assert not folder.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_private_folder_is_swept_on_signals(number: signal.Signals) -> None:
    code = """
import time
from sealpipe.files import private_folder
with private_folder() as folder:
    (folder / "secret").write_text("x")
    print(folder, flush=True)
    while True: time.sleep(0.1)  # one that is long may begin between a signal and its handler
"""
    with python(code) as holder:
        assert holder.stdout is not None
        folder = Path(holder.stdout.readline().strip())
        assert (folder / "secret").exists()
        holder.send_signal(number)
        assert holder.wait(20) != 0
    assert not folder.exists()


def test_private_folder_is_swept_when_its_process_is_killed() -> None:
    code = """
import time
from sealpipe.files import private_folder
with private_folder() as folder:
    (folder / "secret").write_text("x")
    print(folder, flush=True)
    while True: time.sleep(0.1)  # one that is long may begin between a signal and its handler
"""
    with python(code) as holder:
        assert holder.stdout is not None
        folder = Path(holder.stdout.readline().strip())
        assert (folder / "secret").exists()
        holder.kill()
    deadline = time.monotonic() + 20
    while folder.exists():
        assert time.monotonic() < deadline, "what a killed process had in clear is still there"
        time.sleep(0.01)


def test_private_folder_is_swept_at_exit() -> None:
    code = """
from sealpipe.files import private_folder
folder = private_folder()
print(folder.__enter__(), flush=True)
"""
    with python(code) as holder:
        out, _ = holder.communicate(timeout=20)
    assert out
    assert not Path(out.strip()).exists()


def test_signal_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with private_folder():
        pass
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_child_forked_meanwhile_does_not_keep_the_lock(tmp_path):
    with locked(tmp_path / "lock"):
        child = os.fork()
        if child == 0:
            time.sleep(30)
            os._exit(0)
    try:
        with locked(tmp_path / "lock", timeout=1.0):
            pass
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_a_file_is_written_once(tmp_path: Path) -> None:
    path = tmp_path / "key"
    files.write_once(path, b"first")
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"first", 0o600)
    with pytest.raises(FileExistsError):
        files.write_once(path, b"second")
    assert path.read_bytes() == b"first"


def test_what_a_killed_process_left_empty_is_written(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.touch(mode=0o644)
    files.write_once(path, b"first")
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"first", 0o600)


@pytest.mark.parametrize("kind", ["link to nothing", "link to an empty file", "folder", "fifo", "locked"])
def test_nothing_else_is_written_through(tmp_path: Path, kind: str) -> None:
    path, other = tmp_path / "key", tmp_path / "other"
    if kind.startswith("link"):
        path.symlink_to(other)
        if "empty" in kind:
            other.touch()
    elif kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.touch()
    with path.open("rb") if kind == "locked" else contextlib.nullcontext() as held:
        if held is not None:
            fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(FileExistsError):
            files.write_once(path, b"first")
    assert not other.exists() or not other.read_bytes()
    assert kind != "locked" or not path.read_bytes()

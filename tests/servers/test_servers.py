"""The servers of the tests: each starts, answers, dies and comes back."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from servers import programs
from servers.etcd import call, start_etcd
from servers.fixtures import need
from servers.processes import NotStartedError, Running, free_ports


@pytest.mark.parametrize("name", ["consul", "etcd", "etcd_old", "zookeeper", "weed", "moto"])
def test_a_server_answers(name: str, request: pytest.FixtureRequest) -> None:
    server: Running = request.getfixturevalue(name)
    assert server.alive
    assert server.ready()


def gone(pid: int) -> bool:
    """The process has ended; a zombie that nobody waits for counts."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_a_server_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    program = """
import sys, time
sys.path[:0] = sys.argv[2:]
from pathlib import Path
from servers.etcd import start_etcd
print(start_etcd(Path(sys.argv[1]), old=True).pid, flush=True)
time.sleep(60)
"""
    need("etcd-old")
    starter = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path), *sys.path], stdout=subprocess.PIPE, text=True
    )
    assert starter.stdout is not None
    pid = int(starter.stdout.readline())
    assert not gone(pid)
    starter.kill()
    starter.wait()
    starter.stdout.close()
    deadline = time.monotonic() + 5
    while not gone(pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_server_is_paused_killed_and_started_again(server_folder: Path) -> None:
    need("etcd-old")
    server = start_etcd(server_folder, old=True)
    try:
        put = {"key": "YQ==", "value": "MQ=="}
        call(server, "/v3/kv/put", put)
        server.pause()
        assert not server.ready()
        server.resume()
        assert server.ready()
        first = server.pid
        server.kill()
        assert not server.alive
        assert not server.ready()
        server.restart()
        assert server.pid != first
        assert call(server, "/v3/kv/range", {"key": "YQ=="})["count"] == "1"
    finally:
        server.kill()


def test_ports_are_free_and_below_what_the_kernel_hands_out() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert all(1024 < port < 32_768 for port in ports)


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    broken = Running("broken", "127.0.0.1:1", ["sh", "-c", "echo no disk; exit 3"], tmp_path, lambda: False)
    with pytest.raises(NotStartedError, match="broken ended: no disk"):
        broken.launch().wait_ready()


def test_what_is_missing_is_said_with_the_command_that_brings_it() -> None:
    assert programs.hint("consul") == "consul is not here; it comes with: make servers"
    assert programs.hint("weed") == "weed is not here; it comes with: make test"

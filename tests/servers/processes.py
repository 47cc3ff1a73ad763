"""Servers as processes of this machine: started, killed, paused, started again; they end with the test run.

Every port is on 127.0.0.1 and below those that the kernel hands out. A start that fails because another
took its port meanwhile is tried again with others.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

READY = 60.0  # seconds: a loaded machine with two cores starts six servers at once
_TAKEN = ("address already in use", "Address already in use", "BindException")
# The kernel ends a server when the thread that started it ends (setpriv --pdeathsig): this one, with pytest.
_STARTER = ThreadPoolExecutor(1, thread_name_prefix="servers")


class NotStartedError(Exception):
    """The server ended or did not answer; with the end of its log."""


@dataclass
class Running:
    """A server: its `address` host:port, its `url`, what a client's environment needs, its `files`."""

    name: str
    address: str
    command: Sequence[str]
    folder: Path
    ready: Callable[[], bool]
    url: str = ""
    environ: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)
    own_environ: Mapping[str, str] = field(default_factory=dict)
    leads: Callable[[], bool] = lambda: True
    process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def log(self) -> str:
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def launch(self) -> Running:
        """Start it, without waiting for it."""
        setpriv = shutil.which("setpriv")
        bound = [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
        with (self.folder / "log").open("ab") as log:
            self.process = _STARTER.submit(
                lambda: subprocess.Popen(
                    [*bound, *self.command],
                    cwd=self.folder,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env={"PATH": os.environ["PATH"], "HOME": str(self.folder), **self.own_environ},
                    start_new_session=True,
                )
            ).result()
        return self

    def wait_ready(self, timeout: float = READY) -> Running:
        """Until it answers. Raises NotStartedError."""
        deadline = time.monotonic() + timeout
        while True:
            with suppress(OSError):
                if self.ready():
                    return self
            if not self.alive or time.monotonic() > deadline:
                state = "does not answer" if self.alive else "ended"
                tail = self.log()[-2000:]
                self.kill()
                raise NotStartedError(f"{self.name} {state}: {tail}")
            time.sleep(0.02)

    def kill(self) -> None:
        """SIGKILL, and gone when this returns."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM; SIGKILL after ten seconds."""
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        if self.process is None:
            return
        if self.process.poll() is None:
            with suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGCONT)
                self.process.send_signal(number)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def pause(self) -> None:
        """SIGSTOP: connections stay open and nothing answers."""
        os.kill(self.pid, signal.SIGSTOP)
        threads = Path(f"/proc/{self.pid}/task")
        while any(self._state(thread) not in "TtZX" for thread in threads.iterdir()):
            time.sleep(0.001)  # each thread stops when it next comes by the kernel

    @staticmethod
    def _state(thread: Path) -> str:
        try:
            return (thread / "stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return "X"

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def restart(self, *, wait: bool = True) -> Running:
        """Killed if it runs, then started with the same data and port."""
        self.kill()
        self.launch()
        return self.wait_ready() if wait else self


@dataclass(frozen=True)
class Cluster:
    """Nodes of one store; a client may be given all `addresses`."""

    nodes: tuple[Running, ...]

    @property
    def addresses(self) -> list[str]:
        return [node.address for node in self.nodes]

    def kill(self) -> None:
        for node in self.nodes:
            node.kill()

    def leader(self, timeout: float = READY) -> Running:
        """The node that leads. Raises NotStartedError when none does in time."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            for node in self.nodes:
                with suppress(OSError):
                    if node.alive and node.leads():
                        return node
            time.sleep(0.02)
        raise NotStartedError("no node leads")

    def heal(self) -> None:
        """Every node runs and answers."""
        for node in self.nodes:
            if node.alive:
                node.resume()
            else:
                node.launch()
        for node in self.nodes:
            node.wait_ready()


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody has now, below 32768."""
    found: list[int] = []
    while len(found) < count:
        port = random.SystemRandom().randrange(10_240, 32_768)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            if port not in found:
                found.append(port)
    return found


def started(make: Callable[[list[int]], Running], ports: int) -> Running:
    """The server that `make` describes for free ports, answering. Raises NotStartedError."""
    for attempt in range(4):
        running = make(free_ports(ports)).launch()
        try:
            return running.wait_ready()
        except NotStartedError as error:
            if attempt == 3 or not any(words in str(error) for words in _TAKEN):
                raise
    raise AssertionError("unreachable")


def started_together(make: Callable[[list[int]], Sequence[Running]], ports: int) -> Cluster:
    """The nodes that `make` describes for free ports, all answering. Raises NotStartedError."""
    for attempt in range(4):
        nodes = tuple(node.launch() for node in make(free_ports(ports)))
        try:
            for node in nodes:
                node.wait_ready()
        except NotStartedError as error:
            for node in nodes:
                node.kill()
            if attempt == 3 or not any(words in str(error) for words in _TAKEN):
                raise
        else:
            return Cluster(nodes)
    raise AssertionError("unreachable")

"""Processes measured by what they used, runs of all candidates interleaved, shown as ratios."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple


class Candidate(NamedTuple):
    name: str
    command: Sequence[str]
    folder: Path
    environ: Mapping[str, str]
    before: Callable[[], object] | None = None  # run, unmeasured, ahead of each run
    passing: tuple[int, ...] = (0,)


class Used(NamedTuple):
    """What runs used: medians, milliseconds and MiB. Children are part of it, memory is the largest one's."""

    wall: float
    cpu: float
    memory: float


def one(candidate: Candidate) -> Used:
    """One run. Ends the benchmark where it fails."""
    if candidate.before is not None:
        candidate.before()
    with Path(os.devnull).open("r+b") as nothing:
        began = time.perf_counter()
        process = subprocess.Popen(
            candidate.command,
            cwd=candidate.folder,
            env=dict(candidate.environ),
            stdin=nothing,
            stdout=nothing,
            stderr=subprocess.PIPE,
        )
        assert process.stderr is not None
        said = process.stderr.read()
        process.stderr.close()
        _, status, used = os.wait4(process.pid, 0)
        took = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in candidate.passing:
        raise SystemExit(f"{candidate.name} ended with {process.returncode}:\n{said.decode()}")
    return Used(took * 1000, (used.ru_utime + used.ru_stime) * 1000, used.ru_maxrss / 1024)


def measure(candidates: Sequence[Candidate], runs: int) -> list[Used]:
    """One warm-up, then `runs` rounds of every candidate in turn, so that a slow moment hits all alike."""
    for candidate in candidates:
        one(candidate)
    found: list[list[Used]] = [[] for _ in candidates]
    for _ in range(runs):
        for candidate, figures in zip(candidates, found, strict=True):
            figures.append(one(candidate))
    return [Used(*map(statistics.median, zip(*figures, strict=True))) for figures in found]


class Row(NamedTuple):
    """A line of the table. `bar`: the least factor ("x10"), the most ("<4"), "120 ms", "+30 ms" over the
    peer; without a number it is stated only.
    """

    work: str
    against: str
    ours: Used
    peer: Used | None
    unit: str = "cpu"  # or "wall"
    bar: str = ""

    @property
    def limit(self) -> str:
        return self.bar.strip("x<+ms ")

    def value(self) -> float:
        """Peer over ours for a factor to reach, ours over peer for one to keep below, else milliseconds."""
        mine = getattr(self.ours, self.unit)
        theirs = getattr(self.peer, self.unit) if self.peer else 0.0
        if self.bar.startswith("+"):
            return float(mine - theirs)
        if self.peer is None or self.bar.endswith("ms"):
            return float(mine)
        return float(mine / theirs if self.bar.startswith("<") else theirs / mine)

    def verdict(self) -> str:
        if not self.limit:
            return "stated"
        limit = float(self.limit)
        met = self.value() >= limit if self.bar.startswith("x") else self.value() <= limit
        return "reached" if met else "MISSED"


HEAD = (
    "| work | against | ours | peer | figure | at least | | memory MiB |\n|---|---|---|---|---|---|---|---|"
)


def line(row: Row) -> str:
    """One line of the table, in Markdown."""
    ours = f"{getattr(row.ours, row.unit):.0f} ms {row.unit}"
    peer = f"{getattr(row.peer, row.unit):.0f} ms" if row.peer else "–"
    is_time = row.bar.endswith("ms") or row.peer is None
    figure = f"{row.value():.0f} ms" if is_time else f"{row.value():.2f}×"
    bars = {"x": "≥ {}×", "<": "≤ {}×", "+": "≤ + {} ms", "": "≤ {} ms"}
    kind = row.bar[0] if row.bar[:1] in ("x", "<", "+") else ""
    bar = bars[kind].format(row.limit) if row.limit else "–"
    memory = f"{row.ours.memory:.0f}" + (f" : {row.peer.memory:.0f}" if row.peer else "")
    return f"| {row.work} | {row.against} | {ours} | {peer} | {figure} | {bar} | {row.verdict()} | {memory} |"

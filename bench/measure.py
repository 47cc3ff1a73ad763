"""Processes measured by the CPU time they used, runs of all candidates interleaved, shown as ratios."""

from __future__ import annotations

import os
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple


class Candidate(NamedTuple):
    name: str
    command: Sequence[str]
    folder: Path
    environ: Mapping[str, str]


class Row(NamedTuple):
    """CPU milliseconds of one candidate: the least and the middle of all runs."""

    name: str
    least: float
    median: float


def cpu_ms(candidate: Candidate) -> float:
    """CPU time of one run, its children included. Ends the benchmark where it fails."""
    with Path(os.devnull).open("r+b") as nothing:
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
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{candidate.name} ended with {process.returncode}:\n{said.decode()}")
    return (used.ru_utime + used.ru_stime) * 1000


def measure(candidates: Sequence[Candidate], runs: int) -> list[Row]:
    """One warm-up, then `runs` rounds of every candidate in turn, so that a slow moment hits all alike."""
    for candidate in candidates:
        cpu_ms(candidate)
    figures: dict[str, list[float]] = {candidate.name: [] for candidate in candidates}
    for _ in range(runs):
        for candidate in candidates:
            figures[candidate.name].append(cpu_ms(candidate))
    return [Row(name, min(found), statistics.median(found)) for name, found in figures.items()]


def table(title: str, rows: Sequence[Row], *, base: str) -> list[str]:
    """Lines of a table; the ratio compares least with least."""
    against = next(row.least for row in rows if row.name == base)
    lines = [title, f"  {'':<46}{'least ms':>10}{'median ms':>11}{'ratio':>8}"]
    lines += [
        f"  {row.name:<46}{row.least:>10.1f}{row.median:>11.1f}{row.least / against:>8.2f}" for row in rows
    ]
    return [*lines, ""]

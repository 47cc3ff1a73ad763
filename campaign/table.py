"""Runs campaigns one after another and ends with a Markdown table of their figures.

    python campaign/table.py [NAME …]      all files beside this one by default

What each prints is shown as it comes. Its figures are the lines that begin with its name and a colon, or
what FIGURES says; the exit code is the worst of all.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
SELF = Path(__file__).stem
LAST = 1  # of a script whose figures nothing else says


class Ran(NamedTuple):
    """How a campaign ended, and everything it printed."""

    name: str
    code: int
    seconds: float
    lines: Sequence[str]


def _of_simulate(lines: Sequence[str]) -> list[str]:
    rules = [line for line in lines if line.startswith("without ")]
    missed = sum("NOT MISSED" in line for line in rules)
    found = [" ".join(line.split()) for line in lines if line.startswith(("seeds ", "exploration "))]
    return [*found, f"rules taken out: {len(rules)}, without effect: {missed}"]


def _of_fuzz(lines: Sequence[str]) -> list[str]:
    found, target = [], ""
    for line in lines:
        corpus = re.search(r"files found in .*/corpus/(\w+)", line)
        target = corpus[1] if corpus else target
        if units := re.match(r"stat::number_of_executed_units: (\d+)", line):
            found.append(f"{target}: {int(units[1]):,} inputs")
    return found + [line for line in lines if "ERROR: libFuzzer" in line or line.startswith("atheris is not")]


def _of_death(lines: Sequence[str]) -> list[str]:
    return [" ".join(line.split()) for line in lines if " writing calls, " in line] + [*lines[-LAST:]]


FIGURES: dict[str, Callable[[Sequence[str]], list[str]]] = {
    "simulate": _of_simulate,
    "fuzz_bytes": _of_fuzz,
    "death": _of_death,
}


def figures(name: str, lines: Sequence[str]) -> list[str]:
    """The lines that say what a campaign came to."""
    said = [line.rstrip() for line in lines if line.strip()]
    if name in FIGURES:
        return FIGURES[name](said)
    return [line for line in said if line.startswith(f"{name}: ")] or said[-LAST:]


def run(name: str) -> Ran:
    """Run one in a process of its own and pass on what it prints."""
    print(f"== {name}", flush=True)
    began, lines = time.monotonic(), []
    words = [sys.executable, str(HERE / f"{name}.py")]
    environ = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        words, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    return Ran(name, process.returncode, time.monotonic() - began, lines)


def table(ran: Sequence[Ran]) -> list[str]:
    """A row for each campaign: its figures, how it ended, its time."""
    rows = ["| campaign | figures | ended | time |", "|---|---|---|---|"]
    for one in ran:
        said = "<br>".join(line.replace("|", "\\|") for line in figures(one.name, one.lines)) or "nothing"
        ended = "passed" if one.code == 0 else f"**failed ({one.code})**"
        rows.append(f"| `{one.name}` | {said} | {ended} | {one.seconds:.0f} s |")
    return rows


def main(names: Sequence[str]) -> int:
    known = sorted(file.stem for file in HERE.glob("*.py") if file.stem != SELF)
    if unknown := [name for name in names if name not in known]:
        print(f"there is no campaign {', '.join(unknown)}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    ran = [run(name) for name in names or known]
    print("\n" + "\n".join(table(ran)))
    return max((one.code for one in ran), key=abs, default=0) and 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

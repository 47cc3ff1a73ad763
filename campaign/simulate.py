"""The simulation's long form: seeds, the bounded exploration, every rule taken out. Prints a table.

    campaign/simulate.py                     20,000 seeds in two processes; goes on where it was stopped
    campaign/simulate.py --seed 4711         one seed again, with every step (--copies s3,txn,txn: beside two
                                             such mirrors and such a plain tree)
    campaign/simulate.py --path txn 1 1 0,2  one path of the exploration (interruptions, faults, choices)

What is done so far is kept in .campaign/simulate.json; --anew forgets it.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "pipeline"), str(ROOT / "tests")]

from simulation.exploration import explore, small  # noqa: E402
from simulation.rules import RULES, run_without  # noqa: E402
from simulation.rules_of_copies import RULES as OF_COPIES  # noqa: E402
from simulation.run import Run, plan_of, run_seed  # noqa: E402
from simulation.scheduler import Bounded  # noqa: E402
from simulation.store import KINDS  # noqa: E402

KEPT = ROOT / ".campaign" / "simulate.json"
SLICE = 250
BOUNDS = ((1, 0), (0, 1), (2, 0), (1, 1))
RULE_TRIES = 1500


class Slice(NamedTuple):
    """Seeds from `start` on: what became of them."""

    start: int
    seeds: int
    steps: int
    commands: int
    seconds: float
    failed: list[tuple[int, str]]


def run_slice(start: int, count: int) -> Slice:
    began = time.process_time()
    steps = commands = 0
    failed: list[tuple[int, str]] = []
    for seed in range(start, start + count):
        result = run_seed(seed)
        steps += result.steps
        commands += result.commands
        if result.violation:
            failed.append((seed, result.violation))
    return Slice(start, count, steps, commands, time.process_time() - began, failed)


def seeds(total: int, jobs: int, done: dict[str, Any]) -> Iterator[Slice]:
    """Slices as they come to an end; those of an earlier run first."""
    version = _version()
    if done.get("version") != version:
        done.clear()
        done.update({"version": version, "slices": []})
    kept = [Slice(*one) for one in done["slices"] if one[0] < total]
    yield from kept
    finished = {one.start for one in kept}
    starts = [start for start in range(0, total, SLICE) if start not in finished]
    with ProcessPoolExecutor(jobs) as pool:
        for found in pool.map(run_slice, starts, [min(SLICE, total - start) for start in starts]):
            done["slices"].append(found)
            KEPT.parent.mkdir(exist_ok=True)
            KEPT.write_text(json.dumps(done), encoding="utf-8")
            yield found


def _version() -> str:
    """What was simulated: a change of the program or of the simulation starts anew."""
    import hashlib

    parts = ("publishing", "releases", "client", "flows", "stores")
    files = [file for part in parts for file in (ROOT / "pipeline" / "sealpipe" / part).glob("*.py")]
    files += (ROOT / "tests" / "simulation").glob("*.py")
    digest = hashlib.blake2b(digest_size=16)
    for file in sorted(files):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def all_seeds(total: int, jobs: int) -> int:
    done = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {}
    began, found = time.monotonic(), []
    for one in seeds(total, jobs, done):
        found.append(one)
        for seed, violation in one.failed:
            print(f"seed {seed}: {violation}\n    .venv/bin/python campaign/simulate.py --seed {seed}")
    count, cpu = sum(s.seeds for s in found), sum(s.seconds for s in found)
    failed = sum(len(s.failed) for s in found)
    print(
        f"seeds        {count:>8}   violations {failed}   steps {sum(s.steps for s in found)}   commands "
        f"{sum(s.commands for s in found)}   {cpu:.0f} s CPU, {cpu / max(count, 1) * 1000:.0f} ms each, "
        f"{time.monotonic() - began:.0f} s now"
    )
    return failed


def all_paths(bounds: Iterable[tuple[int, int]], limit: int) -> int:
    failed = 0
    for kind in KINDS:
        for interruptions, faults in bounds:
            began = time.process_time()
            found = explore(kind, interruptions=interruptions, faults=faults, limit=limit)
            whole = "all" if found.complete else "the first"
            print(
                f"exploration  {kind:<7} {interruptions} interruption(s), {faults} fault(s): {whole} "
                f"{found.paths} paths   {time.process_time() - began:.0f} s"
            )
            if found.violation:
                failed += 1
                choices = ",".join(map(str, found.prefix))
                print(
                    f"{found.violation}\n    .venv/bin/python campaign/simulate.py --path "
                    f"{kind} {interruptions} {faults} {choices}"
                )
    return failed


def all_rules() -> int:
    missed = 0
    for rule in (*RULES, *OF_COPIES):
        for seed in range(RULE_TRIES):
            violation = run_without(rule, seed).violation
            if re.search(rule.violation, violation):
                print(f"without      {rule.name}: run {seed + 1}, {violation}")
                break
        else:
            missed += 1
            print(f"without      {rule.name}: NOT MISSED in {RULE_TRIES} runs")
    return missed


def show(journal: Iterable[str], violation: str) -> int:
    print("\n".join(journal))
    print(violation or "no violation")
    return 1 if violation else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int)
    parser.add_argument("--copies", default="", metavar="KIND,KIND,KIND")
    parser.add_argument("--path", nargs=4, metavar=("KIND", "INTERRUPTIONS", "FAULTS", "CHOICES"))
    parser.add_argument("--seeds", type=int, default=20_000)
    parser.add_argument("--paths", type=int, default=20_000, help="at most so many a bound")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--anew", action="store_true")
    given = parser.parse_args()
    if given.seed is not None:
        plan, seeded = plan_of(given.seed)
        plan = plan._replace(copies=tuple(given.copies.split(","))) if given.copies else plan
        print(plan)
        result = Run(plan, seeded).go()
        return show(result.journal, result.violation)
    if given.path:
        kind, interruptions, faults, text = given.path
        choices = [int(part) for part in text.split(",") if part]
        path = Bounded(choices, interruptions=int(interruptions), faults=int(faults))
        result = Run(small(kind), path).go()
        return show(result.journal, result.violation)
    if given.anew:
        KEPT.unlink(missing_ok=True)
    return 1 if all_seeds(given.seeds, given.jobs) + all_paths(BOUNDS, given.paths) + all_rules() else 0


if __name__ == "__main__":
    sys.exit(main())

"""Short form of the simulation: seeds, a bounded exploration, and every rule taken out once.

The long form is `make campaign CAMPAIGN=simulate`. A failing seed is run again by the command that the
failure prints.
"""

from __future__ import annotations

import re

import pytest

from simulation.exploration import explore, small
from simulation.rules import RULES, Rule, run_without
from simulation.run import run_seed
from simulation.store import KINDS

SEEDS = 120
TRIES = 250


@pytest.mark.parametrize("kind", KINDS)
def test_seeds(kind: str) -> None:
    offset = list(KINDS).index(kind)
    finished = 0
    for seed in range(offset, SEEDS, len(KINDS)):
        result = run_seed(seed)
        command = f"\n    .venv/bin/python campaign/simulate.py --seed {seed}"
        assert not result.violation, f"{result.violation}; to see it: {command}"
        finished += result.commands
    assert finished > SEEDS / len(KINDS) / 2, "hardly a command came to its end: the world is too hostile"


@pytest.mark.parametrize("kind", KINDS)
def test_every_path_of_two_publishers_with_one_interruption(kind: str) -> None:
    found = explore(kind, interruptions=1, faults=0)
    choices = ",".join(map(str, found.prefix))
    command = f"campaign/simulate.py --path {kind} 1 0 {choices}"
    assert not found.violation, f"{found.violation}; to see it:\n    .venv/bin/python {command}"
    assert found.complete
    assert found.paths > 40


@pytest.mark.parametrize("kind", ["txn", "s3"])
def test_every_death_of_one_of_two_publishers(kind: str) -> None:
    found = explore(kind, interruptions=0, faults=1, plan=small(kind)._replace(faults=("dies-after",)))
    assert not found.violation, f"{found.violation}: {found.prefix}"
    assert found.complete
    assert found.paths > 10


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_taken_out_is_missed(rule: Rule) -> None:
    for seed in range(1 if rule.script else TRIES):
        violation = run_without(rule, seed).violation
        if re.search(rule.violation, violation):
            break
    else:
        pytest.fail("runs without this rule broke no promise")
    assert not run_without(rule, seed, taken_out=False).violation


def test_a_seed_is_the_same_run_every_time() -> None:
    first, second = run_seed(7), run_seed(7)
    assert first.steps > 50
    assert first.journal == second.journal

"""Mirrors and plain trees under faults, deaths and races; and each of their rules taken out once."""

from __future__ import annotations

import re

import pytest

from simulation.rules import Rule, run_without
from simulation.rules_of_copies import RULES
from simulation.run import Run, plan_of
from simulation.store import KINDS

SEEDS = 40
TRIES = 400


@pytest.mark.parametrize("kind", KINDS)
def test_seeds(kind: str) -> None:
    """Each kind of store as the tree's, others as mirrors."""
    others = [name for name in KINDS if name != kind]
    for seed in range(SEEDS // len(KINDS)):
        plan, choices = plan_of(5_000 + seed)
        copies = (others[seed % 3], others[(seed + 1) % 3], kind)
        result = Run(plan._replace(copies=copies), choices).go()
        command = f"campaign/simulate.py --seed {5_000 + seed} --copies {','.join(copies)}"
        assert not result.violation, f"{result.violation}; to see it:\n    .venv/bin/python {command}"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_taken_out_is_missed(rule: Rule) -> None:
    for seed in range(1 if rule.script else TRIES):
        violation = run_without(rule, seed).violation
        if re.search(rule.violation, violation):
            break
    else:
        pytest.fail("runs without this rule broke no promise")
    assert not run_without(rule, seed, taken_out=False).violation

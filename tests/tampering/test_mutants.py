"""A sample of the mutants of `campaign/mutants.py`, which has every one of them."""

from __future__ import annotations

from collections import Counter

import pytest

from .mutants import ACCEPTED, Artefact, artefacts, count, mutants, sample

NAMES = ("sealed value", "release", "head locator", "cached generation", "trust file", "keyring")
SIZES = {"trust file": 150, "keyring": 100}  # YAML takes its time


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Artefact]:
    return {one.name: one for one in artefacts(tmp_path_factory.mktemp("mutants"))}


def test_there_are_enough(made: dict[str, Artefact]) -> None:
    assert tuple(made) == NAMES
    assert sum(count(one.data) for one in made.values()) >= 30_000
    assert len(list(mutants(b"abc"))) == len(set(mutants(b"abc"))) == count(b"abc")


@pytest.mark.parametrize("name", NAMES)
def test_the_original_is_believed(made: dict[str, Artefact], name: str) -> None:
    assert made[name].read(made[name].data)


@pytest.mark.parametrize("name", NAMES)
def test_no_mutant_is_accepted(made: dict[str, Artefact], name: str) -> None:
    one = made[name]
    verdicts = Counter(one.verdict(mutant) for mutant in sample(one.data, SIZES.get(name, 500), name))
    assert verdicts["refused"] > 0
    assert verdicts[ACCEPTED] == 0

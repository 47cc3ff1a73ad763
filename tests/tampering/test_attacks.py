"""Every attack on the formats, and the word that answers it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from . import released, stored, trusting, values
from .attack import BELIEVED, Attack

ATTACKS: list[Attack] = [*values.ATTACKS, *released.ATTACKS, *stored.ATTACKS, *trusting.ATTACKS]


@pytest.mark.parametrize("attack", ATTACKS, ids=[attack.name for attack in ATTACKS])
def test_an_attack_is_answered(attack: Attack, tmp_path: Path) -> None:
    assert attack.how(tmp_path) == attack.word


def test_there_are_enough_and_each_is_another_one() -> None:
    names = Counter(attack.name for attack in ATTACKS)
    assert len(names) >= 160
    assert names.most_common(1)[0][1] == 1
    assert all(attack.holds and attack.word != BELIEVED for attack in ATTACKS)

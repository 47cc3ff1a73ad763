"""What an attack is: who does it with what, how, and the word that must answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from sealpipe.errors import SealpipeError

BELIEVED = ""  # the word of an attack that worked
NO_EFFECT = "no-effect"  # nothing is refused, because nothing was believed: the honest answer still comes


class Attack(NamedTuple):
    """`how` does it in an empty folder and gives the word that came."""

    name: str
    holds: str
    how: Callable[[Path], str]
    word: str


def word(work: Callable[[], Any]) -> str:
    """The word of the error that `work` ends with; BELIEVED when it ends well."""
    try:
        work()
    except SealpipeError as error:
        return error.word
    return BELIEVED

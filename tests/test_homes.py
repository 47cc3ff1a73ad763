"""Where a user's own files are looked for."""

from __future__ import annotations

import pytest

from sealpipe.homes import pins_path
from sealpipe.keysource import key_file
from sealpipe.pins import pins_file


@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        ({}, "/nonexistent/.config"),
        ({"HOME": ""}, "/nonexistent/.config"),
        ({"HOME": "/h"}, "/h/.config"),
        ({"HOME": "/h", "XDG_CONFIG_HOME": "/c"}, "/c"),
        ({"HOME": "/h", "XDG_CONFIG_HOME": ""}, "/h/.config"),
    ],
)
def test_our_folder(environ: dict[str, str], folder: str) -> None:
    assert pins_path(environ) == str(pins_file(environ)) == f"{folder}/sealpipe/pins.json"
    assert str(key_file(environ)) == f"{folder}/sealpipe/key.txt"

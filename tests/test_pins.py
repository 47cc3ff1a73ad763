"""Pins: first use, the highest version seen, SEALPIPE_TRUST, and a file that is not ours."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from sealpipe.crypto.keys import Identity
from sealpipe.errors import TrustError
from sealpipe.membership.trust_edit import new_trust
from sealpipe.pins import find_pins, need_pins, note_version, pins_file, store_pin
from sealpipe.trust import parse_trust, pin_text, root_digest, root_of

PROJECT = "5b0c7a1e9f2d4c6688aa01d3e7f4b912"
TRUST = parse_trust(new_trust(PROJECT, "anna", Identity(b"\x01" * 32), ["dev"]))
OTHER = parse_trust(new_trust("0" * 32, "anna", Identity(b"\x01" * 32), ["dev"]))


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path)}


def test_first_use_on_a_terminal_is_shown_and_kept(environ: dict[str, str]) -> None:
    said: list[str] = []
    pins = need_pins(environ, TRUST, None, terminal=True, say=said.append)
    assert pins[0].digest == root_digest(PROJECT, root_of(TRUST))
    assert any(pin_text(PROJECT, root_of(TRUST)) in line for line in said)
    said.clear()
    assert need_pins(environ, TRUST, None, terminal=False, say=said.append) == pins
    assert said == []
    assert stat.S_IMODE(pins_file(environ).stat().st_mode) == 0o600


def test_without_a_terminal_nothing_is_trusted(environ: dict[str, str]) -> None:
    with pytest.raises(TrustError) as error:
        need_pins(environ, TRUST, None, terminal=False)
    assert (error.value.word, error.value.exit_code) == ("no-pin", 6)
    # The hint must not offer the repository's own claim.
    assert pin_text(PROJECT, root_of(TRUST)) not in str(error.value)
    assert not pins_file(environ).exists()


def test_the_variable_is_the_only_pin(environ: dict[str, str]) -> None:
    store_pin(environ, TRUST)
    other = pin_text("0" * 32, root_of(OTHER))
    environ["SEALPIPE_TRUST"] = f"{other}@4, {pin_text(PROJECT, root_of(TRUST))}"
    assert [pin.min_version for pin in find_pins(environ, PROJECT)] == [4, 0]
    environ["SEALPIPE_TRUST"] = "st1-nonsense"
    with pytest.raises(TrustError):
        find_pins(environ, PROJECT)


def test_versions_only_rise(environ: dict[str, str]) -> None:
    store_pin(environ, TRUST)
    for version, kept in ((5, 5), (3, 5), (0, 5), (6, 6)):
        note_version(environ, PROJECT, version)
        assert find_pins(environ, PROJECT)[0].min_version == kept


def test_projects_stand_apart(environ: dict[str, str]) -> None:
    store_pin(environ, TRUST)
    note_version(environ, PROJECT, 9)
    assert find_pins(environ, "0" * 32) == ()
    note_version(environ, "0" * 32, 7)
    assert find_pins(environ, "0" * 32) == ()
    store_pin(environ, OTHER)
    assert find_pins(environ, "0" * 32)[0].min_version == 1
    assert find_pins(environ, PROJECT)[0].min_version == 9


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"a": 1}', '{"a": {"pin": "x", "version": -1}}', '{"a": {"pin": "x", "version": true}}'],
)
def test_a_file_that_is_not_ours_is_refused_whole(environ: dict[str, str], text: str) -> None:
    store_pin(environ, TRUST)
    pins_file(environ).write_text(text)
    for call in (lambda: find_pins(environ, PROJECT), lambda: store_pin(environ, TRUST)):
        with pytest.raises(TrustError) as error:
            call()
        assert error.value.word == "malformed-pins"
    assert pins_file(environ).read_text() == text

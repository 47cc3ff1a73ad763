"""The search for secrets finds what is planted, in each spelling and each place of an exception."""

from __future__ import annotations

import base64
import json
import urllib.parse

import pytest

from leaking import Sweep, all_of, forms

CANARY = 'hunter2"canary/ü 7%'
PLANTED = {
    "raw": f"password: {CANARY}",
    "repr": repr({"a": CANARY}),
    "repr of bytes": repr([CANARY.encode()]),
    "JSON": json.dumps([CANARY]),
    "JSON, not escaped": json.dumps([CANARY], ensure_ascii=False),
    "JSON in JSON": json.dumps({"log": json.dumps({"a": CANARY})}),
    "hex": CANARY.encode().hex(),
    "HEX": CANARY.encode().hex().upper(),
    "URL": "https://host/?q=" + urllib.parse.quote(CANARY),
    "URL, all of it": "https://host/" + urllib.parse.quote(CANARY, safe=""),
    "form": urllib.parse.urlencode({"q": CANARY}),
    "UTF-16": CANARY.encode("utf-16").decode("latin-1").encode("latin-1"),
}
sweep = Sweep(CANARY)


@pytest.mark.parametrize("name", PLANTED)
def test_each_spelling_is_found(name: str) -> None:
    assert f"{name} of #0" in sweep(PLANTED[name])


@pytest.mark.parametrize("secret", [CANARY, "0123456789", "0123456789a", "0123456789ab"])
def test_base64_is_found_wherever_it_begins_and_ends(secret: str) -> None:
    found = Sweep(secret)
    for before in range(7):
        for behind in range(4):
            data = b"x" * before + secret.encode() + b"y" * behind
            for text in (base64.b64encode(data), base64.urlsafe_b64encode(data)):
                assert any("base64" in name for name in found(text)), (before, behind)


def test_every_spelling_is_planted_somewhere() -> None:
    assert {name for name in forms(CANARY) if not name.startswith("base64")} == set(PLANTED)


def test_nothing_is_found_in_what_does_not_hold_it() -> None:
    assert sweep(json.dumps({"a": "hunter1", "b": base64.b64encode(b"something else").decode()})) == []


def _hidden_context() -> None:
    try:
        {}[CANARY]
    except KeyError:
        raise ValueError("not a word of it") from None


def _cause() -> None:
    raise ValueError("not a word of it") from KeyError(CANARY)


def _attribute() -> None:
    error = ValueError("not a word of it")
    error.input = CANARY  # type: ignore[attr-defined]
    raise error


def _note() -> None:
    error = ValueError("not a word of it")
    error.add_note(CANARY)
    raise error


def _group() -> None:
    raise ExceptionGroup("several", [ValueError("first"), KeyError(CANARY)])


def _local() -> None:
    mine = CANARY  # noqa: F841
    raise ValueError("not a word of it")


@pytest.mark.parametrize("raiser", [_hidden_context, _cause, _attribute, _note, _group, _local])
def test_each_place_of_an_exception_is_looked_into(raiser: object) -> None:
    with pytest.raises(Exception, match=r"not a word|several") as caught:
        raiser()  # type: ignore[operator]
    assert sweep(all_of(caught.value, with_locals=True))
    assert bool(sweep(all_of(caught.value, with_locals=False))) == (raiser is not _local)

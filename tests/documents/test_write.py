"""Block YAML for the files that commands write."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, settings

from documents.strategies import SCALARS, plain_values
from sealpipe.documents.read import read_yaml
from sealpipe.documents.scalars import is_plain_string, scalar_text
from sealpipe.documents.source import same
from sealpipe.documents.write import dump_yaml, inline


@given(plain_values())
@settings(max_examples=150, deadline=None)
def test_what_is_written_reads_back_equal(data: dict[str, Any]) -> None:
    text = dump_yaml(data)
    found = read_yaml(text, file="f")
    assert same(found, data)
    assert list(found) == list(data)


@given(plain_values())
@settings(max_examples=100, deadline=None)
def test_programs_of_yaml_1_1_read_it_equal(data: dict[str, Any]) -> None:
    assert same(yaml.safe_load(dump_yaml(data) or "{}") or {}, data)


@given(SCALARS)
@settings(max_examples=150, deadline=None)
def test_scalars_in_flow_and_block(value: Any) -> None:
    assert same(read_yaml(f"a: {scalar_text(value)}\n", file="f"), {"a": value})
    assert same(read_yaml(f"a: [{scalar_text(value, flow=True)}, 1]\n", file="f"), {"a": [value, 1]})
    assert same(read_yaml(f"a: {inline([value, {'k': value}])}\n", file="f"), {"a": [value, {"k": value}]})
    assert "\n" not in scalar_text(value)


def test_looks_like_what_people_write() -> None:
    data = {
        "format": 1,
        "project": "12345678901234567890123456789012",
        "past": ["9c41", "07ab"],
        "root": {"need": 1, "of": ["anna"]},
        "keys": {"anna": {"sign": "ed25519:9kQ3v0Zt-_", "since": "2026-05-04"}},
        "list": [{"by": "anna", "sig": "x", "deep": {"a": [[1], {}]}}, []],
        "long": ["x" * 40, "y" * 40],
        "no": "yes",
        "none": None,
    }
    assert dump_yaml(data, header="# written by sealpipe") == (
        "# written by sealpipe\n"
        "format: 1\n"
        'project: "12345678901234567890123456789012"\n'
        "past: [9c41, 07ab]\n"
        "root:\n"
        "  need: 1\n"
        "  of: [anna]\n"
        "keys:\n"
        "  anna:\n"
        "    sign: ed25519:9kQ3v0Zt-_\n"
        '    since: "2026-05-04"\n'
        "list:\n"
        "  - by: anna\n"
        "    sig: x\n"
        "    deep:\n"
        "      a:\n"
        "        - [1]\n"
        "        - {}\n"
        "  - []\n"
        "long:\n"
        f"  - {'x' * 40}\n"
        f"  - {'y' * 40}\n"
        '"no": "yes"\n'
        "none: null\n"
    )


def test_sealed_values_are_plain_in_block_and_quoted_in_flow() -> None:
    token = "ENC[NACL1,type:str,data:AbC-_1]"
    assert scalar_text(token) == token
    assert scalar_text(token, flow=True) == f'"{token}"'
    # What only looks like one is not trusted to be plain.
    assert scalar_text("ENC[a] #b") == '"ENC[a] #b"'


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), 2**53, -(2**53), 1e20, "a\x00b", "\u202e", "\x85", "\ud800", b"x", {1}],
)
def test_what_no_document_can_hold_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"text|numbers") as caught:
        dump_yaml({"a": value})
    assert repr(value) not in str(caught.value)
    with pytest.raises(ValueError, match=r"text|keys|numbers"):
        dump_yaml({value if isinstance(value, str) else 7: 1})


def test_plain_strings() -> None:
    assert is_plain_string("on")
    assert is_plain_string("2026-01-02")
    assert not is_plain_string("1")
    assert not is_plain_string("")
    assert not is_plain_string("010")

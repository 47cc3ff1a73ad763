"""Reading YAML: each trap has a folder in tests/cases/yaml, with the exact text that it must give."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from documents.strategies import plain_values
from sealpipe.documents import nodes
from sealpipe.documents.read import read_yaml
from sealpipe.errors import Finding, InputError
from sealpipe.releases.drafts import draft_bytes, draft_from_json

CASES = sorted(path.parent for path in (Path(__file__).parent.parent / "cases" / "yaml").glob("*/input.yaml"))


def told(finding: Finding) -> str:
    lines = [
        f"{finding.severity}[{finding.word}]: {finding.where}  {finding.path}".rstrip(),
        f"  {finding.what}",
    ]
    return "\n".join(
        [*lines, *(f"  {why}" for why in finding.why), *(f"  hint: {hint}" for hint in finding.hint)]
    )


def findings_of(data: str | bytes) -> tuple[Finding, ...]:
    with pytest.raises(InputError) as caught:
        read_yaml(data, file="f.yaml")
    return caught.value.findings


def outcome(data: str | bytes) -> tuple[Any, tuple[Finding, ...]]:
    error: InputError | None = None
    try:
        return read_yaml(data, file="f.yaml"), ()
    except InputError as caught:
        error = caught
    # A chained exception of the parser would carry the text on.
    assert error.__context__ is None
    return None, error.findings


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 45


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: Path) -> None:
    data = (case / "input.yaml").read_bytes()
    try:
        found = f"accepted: {json.dumps(read_yaml(data, file='input.yaml'))}"
    except InputError as error:
        found = "\n".join(told(finding) for finding in error.findings)
        complete = all(finding.hint and finding.where for finding in error.findings)
    else:
        complete = True
    assert complete
    assert found + "\n" == (case / "expected.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case_shows_no_value(case: Path) -> None:
    text = (case / "expected.txt").read_text(encoding="utf-8")
    if not text.startswith("accepted"):
        for value in ("hunter2", "secret", "x: y", "Bucket", "os.system", "9999"):
            assert value not in text


def test_no_text_is_larger_than_1_mib() -> None:
    [finding] = findings_of(b"a: '" + b"x" * (1024 * 1024) + b"'\n")
    assert finding.word == "too-large"
    [finding] = findings_of("a: '" + "é" * (512 * 1024) + "'\n")
    assert finding.word == "too-large"
    assert read_yaml("a: '" + "x" * 1_000_000 + "'\n", file="f")["a"] == "x" * 1_000_000


def test_keys_keep_their_order() -> None:
    assert list(read_yaml("z: 1\na: 2\nm: {y: 1, b: 2}\n", file="f")) == ["z", "a", "m"]


def test_types_of_yaml_1_2() -> None:
    text = "a: null\nb: ~\nc:\nd: True\ne: FALSE\nf: -0\ng: +12\nh: 1.50\n"
    text += "i: -1e-2\nj: 0x1f\nk: nO\nl: 0o8\nm: .\nn: '1'\n"
    assert read_yaml(text, file="f") == {
        "a": None, "b": None, "c": None, "d": True, "e": False, "f": 0, "g": 12, "h": 1.5, "i": -0.01,
        "j": 31, "k": "nO", "l": "0o8", "m": ".", "n": "1",
    }  # fmt: skip


def test_depth_64_is_taken_and_65_is_not() -> None:
    for size in (0, 9000):  # with and without the guard of the parser's recursion
        filler = "x: '" + "y" * size + "'\n"
        deep = filler + "a: " + "[" * 63 + "]" * 63 + "\n"
        read_yaml(deep, file="f")
        [finding] = findings_of(filler + "a: " + "[" * 64 + "]" * 64 + "\n")
        assert finding.word == "too-deep"


def test_the_deepest_document_fits_into_a_draft() -> None:
    values = read_yaml("a: " + "{a: " * 63 + "1" + "}" * 63 + "\n", file="f")
    assert draft_from_json(draft_bytes(values, {}, {}, (), {})).values == values


@pytest.mark.parametrize(
    "bomb", ["[" * 500_000, "{" * 300_000, "- " * 400_000, "? " * 400_000, "a: {" * 200_000]
)
def test_nesting_bombs_end_in_a_finding(bomb: str) -> None:
    # In a thread with a small stack: a crash here would take the whole process.
    words: list[str] = []

    def read() -> None:
        words.extend(finding.word for finding in findings_of(bomb))

    before = threading.stack_size(512 * 1024)
    try:
        thread = threading.Thread(target=read)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    assert words
    assert set(words) <= {"too-deep", "yaml-syntax", "too-large", "templating"}


def test_an_alias_bomb_costs_nothing() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert {finding.word for finding in findings_of("\n".join(lines))} == {"alias"}


def test_many_findings_are_bounded() -> None:
    assert len(findings_of("a: '" + "\u202e" * 1000 + "'\n")) == 20


@given(plain_values())
@settings(max_examples=150, deadline=None)
def test_reads_json_as_json(value: dict[str, Any]) -> None:
    text = json.dumps(value, ensure_ascii=False)
    text = re.sub("[\x7f\u2028\u2029\ufeff\ufffe\uffff]", lambda found: f"\\u{ord(found[0]):04x}", text)
    assert read_yaml(text, file="f") == value


@given(st.text(alphabet=" \n\t:-?[]{}#&*!|>'\"%@`ab01.~<,\\\u0085\u2028\x00é{", max_size=60))
@settings(max_examples=200, deadline=None)
def test_any_text_gives_values_or_findings(text: str) -> None:
    found, findings = outcome(text)
    assert all(finding.where and finding.what for finding in findings)
    if not findings:
        assert json.loads(json.dumps(found, allow_nan=False)) == found


@given(st.binary(max_size=60))
@settings(max_examples=200, deadline=None)
def test_any_bytes_give_values_or_findings(data: bytes) -> None:
    found, findings = outcome(data)
    assert findings or isinstance(found, dict)


CANARY = "zq7hunter2"
LAYOUTS = [
    f"db:\n  password: {CANARY}\n  pool: 5\nxs: [1, {CANARY}]\n",
    f"a: '{CANARY}'\nb: |\n  {CANARY}\n  {CANARY}\nc: \"{CANARY}\"\n",
    f"- {CANARY}\n- a\n",
    f"a: {{b: {CANARY}, c: [x]}}\nd: &x {CANARY}\ne: !t {CANARY}\n",
]


MARKS = st.sampled_from("\t\n'\"{}[]*&!|>%@-#,010.")


@given(st.sampled_from(LAYOUTS), st.lists(st.tuples(st.integers(0, 80), MARKS), max_size=4))
@settings(max_examples=200, deadline=None)
def test_findings_never_show_a_value(text: str, edits: list[tuple[int, str]]) -> None:
    for at, character in edits:
        text = text[: at % len(text)] + character + text[at % len(text) :]
    _, findings = outcome(text)
    for finding in findings:
        assert CANARY not in told(finding)


def test_pure_parser_reads_the_same() -> None:
    """Where PyYAML was built without libyaml, the pure parser stands in."""
    code = """
import sys, json, yaml
yaml.__with_libyaml__ = False
from pathlib import Path
from sealpipe.documents import nodes
from sealpipe.documents.read import read_yaml
from sealpipe.errors import InputError
assert nodes._Parser.__module__ == "sealpipe.documents.nodes"
for case in map(Path, sys.argv[1:]):
    data = (case / "input.yaml").read_bytes()
    if case.name.startswith("depth-"):
        continue
    try:
        found = ("ok", read_yaml(data, file="f"))
    except InputError as error:
        found = ("refused", sorted({f.word for f in error.findings}))
    print(json.dumps([case.name, *found]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, CASES)],
        capture_output=True, text=True, check=True, env={"PYTHONPATH": ":".join(sys.path)},
    )  # fmt: skip
    seen = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(seen) > 80
    differing = []
    for name, kind, found in seen:
        expected = (CASES[0].parent / name / "expected.txt").read_text(encoding="utf-8")
        accepted = expected.startswith("accepted")
        assert (kind == "ok") == accepted, name
        if accepted:
            assert found == json.loads(expected.partition(": ")[2])
        elif not all(f"[{word}]" in expected for word in found):
            differing.append(name)
    assert differing == ["surrogate-escape"]  # refused by both, one by the parser and one by us


def test_parser_is_the_c_one_here() -> None:
    assert yaml.__with_libyaml__
    assert nodes._Parser.__module__ == "yaml._yaml"

from __future__ import annotations

from sealpipe.cli.render import json_, text
from sealpipe.errors import Finding, Where

FOUND = Finding(
    "unknown-key",
    "checkout has no setting `timout_s` here",
    Where("environments/production/checkout.yaml", 3, 3),
    "http.timout_s",
    ("allowed: port, timeout_s",),
    ("did you mean `timeout_s`?  sealpipe mv production/checkout http.timout_s http.timeout_s",),
    source="http:\n  timout_s: 3",
    width=8,
)


def test_a_finding_looks_as_promised() -> None:
    assert text.findings([FOUND, FOUND._replace(source="", width=0, why=(), hint=(), reach=16)]) == [
        "error[unknown-key]: environments/production/checkout.yaml:3:3  http.timout_s",
        "  checkout has no setting `timout_s` here",
        "      2 | http:",
        "      3 |   timout_s: 3",
        "        |   ^^^^^^^^",
        "  allowed: port, timeout_s",
        "  hint: did you mean `timeout_s`?  sealpipe mv production/checkout http.timout_s http.timeout_s",
        "",
        "error[unknown-key]: environments/production/checkout.yaml:3:3  http.timout_s (reaches 16 documents)",
        "  checkout has no setting `timout_s` here",
    ]


def test_a_terminal_cannot_be_driven_from_a_file() -> None:
    evil = FOUND._replace(
        what="a\x1b[2Jb", source="\x1b]0;x\x07", path="\u202ex", why=("\x9b",), hint=("\r",)
    )
    joined = "".join(text.findings([evil]))
    assert not any(character in joined for character in "\x1b\x07\u202e\x9b\r")


def test_counts() -> None:
    other = FOUND._replace(where=Where("b"), severity="warning")
    assert text.counts([]) == "no errors"
    assert text.counts([FOUND]) == "1 error in 1 file"
    assert text.counts([FOUND, FOUND, other]) == "2 errors, 1 warning in 2 files"


def test_json_has_every_field_and_no_line_of_a_file() -> None:
    made = json_.finding(FOUND)
    assert made == {
        "word": "unknown-key", "severity": "error", "what": FOUND.what,
        "file": "environments/production/checkout.yaml", "line": 3, "column": 3, "path": "http.timout_s",
        "why": list(FOUND.why), "hint": list(FOUND.hint), "reach": 1,
    }  # fmt: skip
    assert json_.document(a=1)[1] == '  "schema_version": 1,'
    assert json_.finding(Finding("w", "x"))["line"] is None

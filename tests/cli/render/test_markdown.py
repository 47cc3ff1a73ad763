from __future__ import annotations

import re

import pytest

from sealpipe.cli.render import markdown
from sealpipe.errors import Finding, Where

EVIL = [
    "<img src=x onerror=alert(1)>", "[click](https://evil.example)", "@octocat please merge", "#1 fixes #2",
    "`@octocat`", "``` @octocat ```", "a\n# heading\n@octocat", "![x](https://evil.example/x.png)",
    "` @octocat",
    "https://evil.example", "| a | b |", "</details>", "&lt;script&gt;", "@octocat `", "$x$ **b**",
]  # fmt: skip


def outside_code(text: str) -> str:
    """What a renderer sees as markup: code spans taken out the way CommonMark does."""
    kept, at = "", 0
    while at < len(text):
        run = re.match("`+", text[at:])
        if run is None:
            kept += text[at]
            at += 1
            continue
        close = re.search(rf"(?<!`)`{{{len(run[0])}}}(?!`)", text[at + len(run[0]) :])
        if close is None:
            kept += run[0]
            at += len(run[0])
        else:
            at += len(run[0]) + close.end()
    return kept


@pytest.mark.parametrize("evil", EVIL)
def test_what_a_pull_request_can_name_stays_inside_code_spans(evil: str) -> None:
    found = Finding("bad-thing", evil, Where(evil, 3, 5), path=evil, why=(evil,), hint=(evil,), reach=2)
    lines = markdown.findings([found])
    assert len(lines) == 4
    plain = "\n".join(outside_code(line) for line in lines)
    assert re.fullmatch(r"[-* a-z():0-9\n]*", plain), plain


@pytest.mark.parametrize("evil", EVIL)
def test_a_code_span_holds_exactly_its_text(evil: str) -> None:
    span = markdown.code(evil)
    ticks = re.match("`+", span)
    assert ticks
    inner = span[len(ticks[0]) : -len(ticks[0])]
    assert inner.strip() == evil.replace("\n", " ").strip()
    assert outside_code(span) == ""


def test_a_summary_is_capped_and_tells_what_is_left() -> None:
    many = [Finding("bad-thing", f"what {n}", Where("f", n + 1)) for n in range(500)]
    lines = markdown.findings(many)
    assert sum("**error**" in line for line in lines) == markdown.SHOWN
    assert lines[-1] == f"- and {500 - markdown.SHOWN} more: {500 - markdown.SHOWN} errors in 1 file"
    long = [Finding("bad-thing", "x" * 400, Where("f", n), why=("y" * 400,) * 20) for n in range(40)]
    assert sum(len(line) + 1 for line in markdown.findings(long)) < 65_536


def test_errors_come_before_warnings() -> None:
    lines = markdown.findings([Finding("w", "w", severity="warning"), Finding("e", "e")])
    assert "error" in lines[0]

from __future__ import annotations

import re

from sealpipe.cli.render import github
from sealpipe.errors import Finding, Where


def finding(what: str = "it is wrong", severity: str = "error", **more: object) -> Finding:
    return Finding("bad-thing", what, Where("environments/dev/shop.yaml", 3, 5), severity=severity)._replace(
        **more
    )  # type: ignore[arg-type]


def test_an_annotation() -> None:
    found = finding(path="db.pool", why=("because",), hint=("sealpipe x",), reach=3)
    assert github.findings([found]) == [
        "::error file=environments/dev/shop.yaml,line=3,col=5,title=bad-thing%3A db.pool"
        "::it is wrong%0Areaches 3 documents%0Abecause%0Ahint: sealpipe x"
    ]
    assert github.findings([finding(severity="warning")])[0].startswith("::warning file=")
    assert github.findings([finding(where=None)]) == ["::error title=bad-thing::it is wrong"]
    assert "file=config/environments" in github.findings([found], prefix="config/")[0]


def test_nothing_in_a_finding_can_begin_a_command_of_its_own() -> None:
    evil = "100%\r\n::set-output name=x::y\n::add-mask::z\x1b]0;t\x07\u202e"
    lines = github.findings([finding(evil, path=evil, where=Where(f"a,b:c\n::error::{evil}", 1, 1))])
    assert len(lines) == 1
    assert "\n" not in lines[0]
    assert "\r" not in lines[0]
    assert not re.search(r"[\x00-\x1f\u202e]", lines[0])
    properties = lines[0].removeprefix("::error ").split("::")[0]
    assert properties.startswith("file=a%2Cb%3Ac%0A")
    assert [part.split("=")[0] for part in properties.split(",")] == ["file", "line", "col", "title"]


def test_ten_at_most_the_worst_first() -> None:
    warnings = [finding(f"w{n}", "warning") for n in range(4)]
    errors = [finding(f"e{n}") for n in range(9)]
    lines = github.findings([*warnings, *errors])
    assert len(lines) == 10
    assert all(f"::e{n}" in lines[n] for n in range(9))
    assert lines[9].startswith("::warning title=sealpipe::and 4 more (4 warnings in 1 file)")
    assert len(github.findings([*warnings, *errors][:10])) == 10
    assert "more" not in github.findings([*warnings, *errors][:10])[9]
    twelve = github.findings([finding(f"e{n}") for n in range(12)])
    assert twelve[9] == "::error title=sealpipe::and 3 more (3 errors in 1 file): sealpipe validate shows all"

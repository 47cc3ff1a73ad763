from __future__ import annotations

import xml.etree.ElementTree as ET

from sealpipe.cli.render import junit
from sealpipe.errors import Finding, Where
from sealpipe.looking.verdicts import Verdict

BAD = Finding(
    "unknown-key", "no such setting", Where("environments/dev/shop.yaml", 3, 5), "db.pol",
    hint=("sealpipe mv a b",), source="  pol: hunter2", width=3,
)  # fmt: skip
WARNING = Finding("unused-layer", "not used", Where("environments/dev/_x.yaml"), severity="warning")


def report(*findings: Finding, **units: bool) -> ET.Element:
    verdict = Verdict(2, 1, {f"dev/{name}": valid for name, valid in units.items()}, findings, trusted=True)
    text = "\n".join(junit.validation(verdict))
    assert "hunter2" not in text
    return ET.fromstring(text)  # noqa: S314 - ours


def test_a_case_for_each_unit_and_for_each_file_with_findings() -> None:
    root = report(BAD, BAD._replace(path="db.b"), WARNING, shop=False, mail=True)
    assert (root.tag, root.get("tests"), root.get("failures"), root.get("errors")) == (
        "testsuites",
        "4",
        "2",
        "0",
    )
    files, units = root
    assert [(s.get("name"), s.get("tests"), s.get("failures")) for s in root] == [
        ("files", "2", "1"),
        ("units", "2", "1"),
    ]
    shop, layer = files
    assert shop.get("name") == shop.get("file") == "environments/dev/shop.yaml"
    (failure,) = shop
    assert (failure.tag, failure.get("type"), failure.get("message")) == (
        "failure", "unknown-key", "no such setting",
    )  # fmt: skip
    assert (failure.text or "").count("error[unknown-key]: environments/dev/shop.yaml:3:5") == 2
    assert [child.tag for child in layer] == ["system-out"]
    assert [(case.get("name"), [c.tag for c in case]) for case in units] == [
        ("dev/shop", ["failure"]),
        ("dev/mail", []),
    ]


def test_counts_are_the_cases_that_are_there() -> None:
    for root in (report(), report(BAD, WARNING, a=False, b=False), report(a=True)):
        assert int(root.get("tests") or 0) == len(root.findall(".//testcase"))
        assert int(root.get("failures") or 0) == len(root.findall(".//failure"))


def test_any_text_is_well_formed() -> None:
    evil = ']]> & <a b="c"> \' \x00\x1b\ud800\uffff \u202e'
    root = report(BAD._replace(what=evil, path=evil, why=(evil,), where=Where(evil, 1, 1)), **{"x&<": False})
    assert root.find(".//failure") is not None
    assert ']]> & <a b="c"> \'' in (root.find(".//failure").text or "")  # type: ignore[union-attr]

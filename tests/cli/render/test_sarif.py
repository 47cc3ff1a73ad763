"""SARIF 2.1.0. The schema below holds what the standard's says of the objects that we write, closed."""

from __future__ import annotations

import json
from typing import Any

import jsonschema

from sealpipe.cli.render import sarif
from sealpipe.errors import Finding, Where
from sealpipe.looking.verdicts import Verdict


def _closed(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [*required],
        "properties": properties,
    }


TEXT = {"type": "string"}
URI = {"type": "string", "format": "uri-reference", "pattern": r"^[A-Za-z0-9._~!$&'()*+,;=:@%/#?-]*$"}
MESSAGE = _closed(("text",), text=TEXT)  # 3.11
ARTIFACT = _closed(uri=URI, uriBaseId=TEXT)  # 3.4
REGION = _closed(
    startLine={"type": "integer", "minimum": 1}, startColumn={"type": "integer", "minimum": 1}
)  # 3.30
PHYSICAL = {  # 3.29
    **_closed(artifactLocation=ARTIFACT, region=REGION),
    "anyOf": [{"required": ["address"]}, {"required": ["artifactLocation"]}],
}
LOGICAL = _closed(fullyQualifiedName=TEXT)  # 3.33
LOCATION = _closed(
    physicalLocation=PHYSICAL, logicalLocations={"type": "array", "uniqueItems": True, "items": LOGICAL}
)  # 3.28
RULE = _closed(("id",), id=TEXT, helpUri={"type": "string", "format": "uri"})  # 3.49
RESULT = _closed(  # 3.27
    ("message",),
    ruleId=TEXT,
    ruleIndex={"type": "integer", "minimum": -1},
    level={"enum": ["none", "note", "warning", "error"]},
    message=MESSAGE,
    locations={"type": "array", "items": LOCATION},
    partialFingerprints={"type": "object", "additionalProperties": TEXT},
)
DRIVER = _closed(  # 3.19
    ("name",),
    name=TEXT,
    version=TEXT,
    informationUri={"type": "string", "format": "uri"},
    rules={"type": "array", "uniqueItems": True, "items": RULE},
)
RUN = _closed(  # 3.14
    ("tool",),
    tool=_closed(("driver",), driver=DRIVER),
    columnKind={"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
    results={"type": "array", "items": RESULT},
)
LOG = _closed(  # 3.13
    ("version", "runs"),
    version={"enum": ["2.1.0"]},
    runs={"type": "array", "items": RUN},
    **{"$schema": {"type": "string", "format": "uri"}},
)

PLAIN = Finding(
    "unknown-key", "no such setting", Where("environments/dev/shop.yaml", 3, 5), "db.pol",
    ("allowed: pool",), ("sealpipe mv dev/shop db.pol db.pool",), source="  pol: hunter2", width=3, reach=2,
)  # fmt: skip


def log(*findings: Finding, prefix: str = "") -> dict[str, Any]:
    verdict = Verdict(1, 1, {"dev/shop": False}, findings, trusted=True)
    text = "\n".join(sarif.validation(verdict, prefix=prefix))
    found: dict[str, Any] = json.loads(text)
    jsonschema.Draft202012Validator(LOG).validate(found)
    assert "hunter2" not in text
    return found


def test_a_result() -> None:
    (run,) = log(PLAIN, prefix="config/")["runs"]
    (result,) = run["results"]
    assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"] == "unknown-key"
    assert result["message"]["text"].split("\n") == [
        "no such setting", "db.pol", "reaches 2 documents", "allowed: pool",
        "hint: sealpipe mv dev/shop db.pol db.pool",
    ]  # fmt: skip
    (location,) = result["locations"]
    assert location["physicalLocation"] == {
        "artifactLocation": {"uri": "config/environments/dev/shop.yaml", "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": 3, "startColumn": 5},
    }
    assert location["logicalLocations"] == [{"fullyQualifiedName": "db.pol"}]


def test_an_empty_log_a_warning_and_a_finding_without_a_place() -> None:
    assert log()["runs"][0]["results"] == []
    where = PLAIN._replace(where=None, severity="warning")
    (result,) = log(where)["runs"][0]["results"]
    assert result["level"] == "warning"
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "sealpipe.yaml"


def test_rules_are_listed_once_and_indices_meet_them() -> None:
    found = log(PLAIN, PLAIN._replace(word="bad-json"), PLAIN._replace(path="db.b"))["runs"][0]
    rules = [rule["id"] for rule in found["tool"]["driver"]["rules"]]
    assert rules == ["bad-json", "unknown-key"]
    assert [rules[one["ruleIndex"]] for one in found["results"]] == [
        one["ruleId"] for one in found["results"]
    ]


def test_a_fingerprint_survives_moved_lines_and_tells_settings_apart() -> None:
    moved = PLAIN._replace(where=Where("environments/dev/shop.yaml", 30, 1))
    one, two, other = log(PLAIN, moved, PLAIN._replace(path="db.x"))["runs"][0]["results"]
    assert one["partialFingerprints"] == two["partialFingerprints"] != other["partialFingerprints"]


def test_nothing_becomes_a_link_a_placeholder_or_a_control_character() -> None:
    evil = PLAIN._replace(
        what="[click](https://evil.test) {0} \x1b[31m \\", where=Where("a b/ü#?.yaml", 1, 1)
    )
    (result,) = log(evil)["runs"][0]["results"]
    assert result["message"]["text"].startswith("\\[click\\](https://evil.test) {{0}} \\\\x1b\\[31m \\\\\n")
    place = result["locations"][0]["physicalLocation"]["artifactLocation"]
    assert place["uri"] == "a%20b/%C3%BC%23%3F.yaml"

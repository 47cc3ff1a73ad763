"""The payload of a release as JSON, to and fro. Pure: signatures are `check`'s."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from sealpipe.canonical import DEPTH_LIMIT, canonical, strict_json
from sealpipe.errors import TrustError
from sealpipe.fields import NAME
from sealpipe.released import Order, Payload, Unit

FORMAT = 1
"""The newest payload format this program writes, and the newest `min_format` that it reads."""

HEX32 = re.compile(r"[0-9a-f]{32}")
HEX64 = re.compile(r"[0-9a-f]{64}")
_HEX64_OR_NONE = re.compile(r"(?:[0-9a-f]{64})?")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_TREE = re.compile(r"(?:[0-9a-f]{40}|[0-9a-f]{64})?")
_BATCH = re.compile(r"[0-9A-Za-z_-]{1,64}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_NUMBER_LIMIT = 2**53 - 1
TRUST_LIMIT = 10**10 - 1

Test = Callable[[Any], bool]


def payload_bytes(payload: Payload) -> bytes:
    """As `payload_json`. Raises ValueError also for what a reader would refuse."""
    found = payload_json(payload)
    problem = ""
    try:
        payload_from_json(found)
    except TrustError as error:
        problem = str(error)
    if problem:
        raise ValueError(problem)
    return found


def payload_json(payload: Payload) -> bytes:
    """Canonical JSON of a payload: what is signed. Raises ValueError for what canonical JSON cannot carry.

    Reasons, which people type, are written on one line and cut at 1000 characters. Whether a reader takes
    it is seen by reading it: `payload_bytes`, or `check` of the whole release.
    """
    data: dict[str, Any] = {
        "format": payload.format,
        "min_format": payload.min_format,
        "project": payload.project,
        "environment": payload.unit.environment,
        "service": payload.unit.service,
        "trust": {"version": payload.order.trust, "digest": payload.trust_digest},
        "seq": payload.order.seq,
        "number": payload.number,
        "prev": payload.prev,
        "rid": payload.rid,
        "batch": payload.batch,
        "created_at": payload.created_at,
        "git": None if payload.git is None else dict(payload.git),
        "tool": payload.tool,
        "draft_digest": payload.draft_digest,
        "schema_digest": payload.schema_digest,
        "keyring_versions": dict(payload.keyring_versions),
        "origins": dict(payload.origins),
    }
    for name in _OPTIONAL:
        value = getattr(payload, name)
        if value is not None:
            data[name] = dict(value) if isinstance(value, Mapping) else value
    if "break_glass" in data:
        data["break_glass"] = _one_line(data["break_glass"])
    if "hold" in data:
        data["hold"]["reason"] = _one_line(data["hold"]["reason"])
    return canonical(data)


def _one_line(reason: str) -> str:
    return " ".join(_CONTROL.sub(" ", reason).split())[:1000]


def payload_from_json(data: bytes) -> Payload:
    """The payload in these bytes. Raises TrustError [malformed-payload, newer-format].

    Checks the form of each field; believes none of them. A payload of a newer format that says it can
    be read as ours may have fields that we do not know; one of our own format may not.
    """
    # A document may be DEPTH_LIMIT deep, and stands a few levels down in here.
    found = strict_json(data, what="payload", word="malformed-payload", depth=DEPTH_LIMIT + 8)
    if not isinstance(found, dict):
        raise _malformed("")
    for name in ("format", "min_format"):
        if not _integer(1, _NUMBER_LIMIT)(found.get(name)):
            raise _malformed(name)
    if found["min_format"] > FORMAT:
        raise TrustError(
            "newer-format",
            f"the release needs a program that reads format {found['min_format']}; this one reads {FORMAT}",
            hint=["install a newer sealpipe here"],
        )
    for name, test in _REQUIRED.items():
        if name not in found or not test(found[name]):
            raise _malformed(name)
    for name, test in _OPTIONAL.items():
        if name in found and not test(found[name]):
            raise _malformed(name)
    if found["format"] <= FORMAT and (unknown := set(found) - set(_REQUIRED) - set(_OPTIONAL) - _HEADER):
        raise _malformed(min(unknown))
    return _payload(found)


def _payload(found: dict[str, Any]) -> Payload:
    return Payload(
        project=found["project"],
        unit=Unit(found["environment"], found["service"]),
        order=Order(found["trust"]["version"], found["seq"]),
        trust_digest=found["trust"]["digest"],
        number=found["number"],
        prev=found["prev"],
        rid=found["rid"],
        batch=found["batch"],
        created_at=found["created_at"],
        git=found["git"],
        tool=found["tool"],
        draft_digest=found["draft_digest"],
        schema_digest=found["schema_digest"],
        keyring_versions=found["keyring_versions"],
        origins=found["origins"],
        hold=found.get("hold"),
        rollback_of=found.get("rollback_of"),
        break_glass=found.get("break_glass"),
        retired=found.get("retired"),
        format=found["format"],
        min_format=found["min_format"],
    )


def _malformed(name: str) -> TrustError:
    what = f"field {name} is missing, unknown or not what it must be" if name.isidentifier() else "is not one"
    return TrustError("malformed-payload", f"the payload of the release: {what}")


# ---- the form of each field


def _text(pattern: re.Pattern[str]) -> Test:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def _integer(low: int, high: int) -> Test:
    return lambda value: type(value) is int and low <= value <= high


def _short(limit: int, least: int = 0) -> Test:
    # It is shown on terminals: no control characters, no line of its own.
    return lambda value: (
        isinstance(value, str) and least <= len(value) <= limit and not _CONTROL.search(value)
    )


def _map(**fields: Test) -> Test:
    def test(value: Any) -> bool:
        return (
            isinstance(value, dict)
            and set(value) == set(fields)
            and all(check(value[name]) for name, check in fields.items())
        )

    return test


def _map_of(key: Test, entry: Test) -> Test:
    return lambda value: isinstance(value, dict) and all(key(k) and entry(v) for k, v in value.items())


def _hold(value: Any) -> bool:
    return _map(by=_short(128, 1), reason=_short(1000), rejected=_rejected)(value)


def _rejected(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(item, dict)
        and set(item) in ({"path"}, {"path", "value"})
        and isinstance(item["path"], str)
        for item in value
    )


def _texts(value: Any) -> bool:
    return isinstance(value, dict) and {str}.issuperset(map(type, value.values()))  # keys are texts in JSON


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


def _git(value: Any) -> bool:
    return value is None or _map(commit=_text(_COMMIT), tree=_text(_TREE), dirty=_is_bool)(value)


_HEADER = {"format", "min_format"}
_REQUIRED: Mapping[str, Test] = {
    "project": _text(HEX32),
    "environment": _text(NAME),
    "service": _text(NAME),
    "trust": _map(version=_integer(1, TRUST_LIMIT), digest=_text(HEX64)),
    "seq": _integer(0, _NUMBER_LIMIT),  # the bound of the format is a rule of `check`
    "number": _integer(1, _NUMBER_LIMIT),
    "prev": _text(_HEX64_OR_NONE),
    "rid": _text(HEX32),
    "batch": _text(_BATCH),
    "created_at": _text(TIME),
    "git": _git,
    "tool": _short(128),
    "draft_digest": _text(HEX64),
    "schema_digest": _text(_HEX64_OR_NONE),
    "keyring_versions": _map_of(_text(NAME), _integer(1, _NUMBER_LIMIT)),
    "origins": _texts,
}
_OPTIONAL: Mapping[str, Test] = {
    "hold": _hold,
    "rollback_of": _text(HEX64),
    "break_glass": _short(1000, 1),
    "retired": _map(successor=_short(128)),
}

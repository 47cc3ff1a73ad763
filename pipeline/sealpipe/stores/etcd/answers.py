"""What etcd's gateway answers: rows, the lines of a watch, and what a refusal means."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from sealpipe.errors import (
    DeniedError,
    FullError,
    MalformedError,
    OutcomeUnknownError,
    StoreError,
    TooLargeError,
    UnavailableError,
    UnsupportedError,
)
from sealpipe.frozen import NamedTuple
from sealpipe.stores.base import Entry
from sealpipe.stores.http import Answer

_CUT = (408, 409, 499)  # given up or cancelled on the way: what was sent may have been applied


def json_of(answer: Answer, *, writes: bool) -> dict[str, Any]:
    """The object in an answer. Raises MalformedError; of a write, OutcomeUnknownError."""
    found: Any = None
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or (writes and "header" not in found):
        if writes:
            raise OutcomeUnknownError("outcome-unknown", "etcd answered a write with something else")
        raise malformed()
    return found


def entries(rows: Any) -> list[Entry]:
    """Of a range's rows. Raises MalformedError."""
    try:
        return [
            Entry(
                base64.b64decode(row["key"], validate=True).decode("ascii"),
                base64.b64decode(row.get("value", ""), validate=True),
                str(int(row["mod_revision"])),
            )
            for row in rows
        ]
    except (TypeError, KeyError, ValueError, AttributeError):
        pass
    raise malformed()


def ranges_of(answer: Mapping[str, Any]) -> list[Any]:
    """The rows of all reads of a transaction. Raises MalformedError."""
    try:
        return [row for one in answer["responses"] for row in one["response_range"].get("kvs", ())]
    except (TypeError, KeyError, AttributeError):
        pass
    raise malformed()


def versions_of(answer: Mapping[str, Any]) -> dict[str, str]:
    """The mod_revision of each key in an answer."""
    return {entry.key: entry.version for entry in entries(answer.get("kvs", ()))}


def revision(answer: Mapping[str, Any]) -> int:
    """The store's, as of this answer. Raises MalformedError."""
    try:
        return int(answer["header"]["revision"])
    except (TypeError, KeyError, ValueError):
        pass
    raise malformed()


def tells(line: bytes) -> bool:
    """Whether a line of a watch says more than that it has begun."""
    try:
        found = json.loads(line)["result"]
        return bool(found.get("events") or found.get("canceled"))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return True


# ---- failures


def malformed() -> MalformedError:
    """For an answer that no etcd gives."""
    return MalformedError("store-malformed", "etcd answered something that no etcd should")


NO_USER = (
    DeniedError,
    "store-denied",
    "etcd does not know the user, or its password is another",
    ("ETCDCTL_USER=NAME and ETCDCTL_PASSWORD, or ETCDCTL_USER=NAME:PASSWORD",),
)


def told(answer: Answer) -> tuple[int, str]:
    """gRPC's code and message of an answer that is no success."""
    try:
        found = json.loads(answer.body)
        return int(found.get("code", 0)), str(found.get("message", "") or found.get("error", ""))
    except (ValueError, TypeError, AttributeError, RecursionError):
        return 0, ""


class _Meaning(NamedTuple):
    """What an answer means that has one of these texts or this code."""

    texts: tuple[str, ...]
    code: int
    kind: type[StoreError]
    word: str
    what: str
    hint: tuple[str, ...] = ()


_MEANINGS = (
    _Meaning(
        ("permission denied", "user name is empty"),
        7,
        DeniedError,
        "store-denied",
        "etcd refused: no user is given, or its role has no right to read, or to write, below the prefix",
        ("roles to paste are in docs/guides/etcd.md",),
    ),
    _Meaning(("invalid auth token",), 16, *NO_USER),
    _Meaning(
        ("space exceeded",),
        -1,
        FullError,
        "store-full",
        "etcd's database is at its quota and takes no writes",
        ("etcdctl compact REVISION, then: etcdctl defrag && etcdctl alarm disarm",),
    ),
    _Meaning(
        ("too large", "larger than max", "too many operations"),
        -1,
        TooLargeError,
        "write-too-large",
        "etcd takes no request of this size or so many operations",
    ),
    _Meaning(("no leader",), 14, UnavailableError, "store-unavailable", "etcd has no leader at the moment"),
)


def failure(answer: Answer, *, writes: bool) -> StoreError:
    """What an answer with another status than 200 means."""
    code, text = told(answer)
    for one in _MEANINGS:
        if code == one.code or any(part in text for part in one.texts):
            # Asked of a member whose leader was lost on the way, the write may still be applied.
            if writes and one.kind is UnavailableError and "no leader" not in text:
                break
            return one.kind(one.word, one.what, hint=one.hint)
    if answer.status == 404:
        return UnsupportedError(
            "no-gateway", "etcd does not offer its JSON gateway", why=["--enable-grpc-gateway=false is set"]
        )
    if writes and (answer.status >= 500 or answer.status in _CUT):
        return OutcomeUnknownError(
            "outcome-unknown", f"etcd answered {answer.status}: whether the write was applied is not known"
        )
    return UnavailableError("store-unavailable", f"etcd answered {answer.status}")

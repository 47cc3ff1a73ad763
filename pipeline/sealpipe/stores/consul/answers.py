"""What Consul answers: entries, and what a refusal means."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from sealpipe.errors import (
    ConflictError,
    DeniedError,
    MalformedError,
    OutcomeUnknownError,
    StoreError,
    TooLargeError,
    UnavailableError,
    UnsupportedError,
)
from sealpipe.stores.base import Entry
from sealpipe.stores.http import Answer

_LACKS = re.compile(r"lacks permission '([a-z]+:[a-z]+)'(?: on \\?\"([A-Za-z0-9_./-]*)\\?\")?")
_TOO_MANY = re.compile(r"too many operations \(\d+ > (\d{1,3})\)")
_CUT = (408, 409, 499)  # given up or cancelled on the way: what was sent may have been applied


def parsed(answer: Answer) -> Any:
    """The JSON of an answer. Raises MalformedError."""
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        pass
    raise malformed()


def index_of(answer: Answer) -> int:
    """Consul's index of what was asked for. Raises MalformedError."""
    text = answer.headers.get("x-consul-index", "")
    if text.isascii() and text.isdigit() and len(text) < 21:
        return int(text)
    raise malformed()


def keys_of(answer: Answer, prefix: str) -> list[str]:
    """The keys below a prefix, sorted; what only holds others ends with a slash and is none."""
    if answer.status == 404:
        return []
    found = parsed(answer)
    if not isinstance(found, list) or not all(isinstance(key, str) for key in found):
        raise malformed()
    return sorted(key for key in found if key.startswith(prefix) and not key.endswith("/"))


def entries(found: Any) -> list[Entry]:
    """Of a list of Consul's rows. Raises MalformedError."""
    try:
        return [Entry(str(row["Key"]), _value(row["Value"]), str(int(row["ModifyIndex"]))) for row in found]
    except (TypeError, KeyError, ValueError):
        pass
    raise malformed()


def _value(text: str | None) -> bytes:
    return base64.b64decode(text or "", validate=True)


def results(found: Any) -> list[Entry]:
    """Of a transaction of reads, without what is not there. Raises MalformedError."""
    return entries(_rows(found))


def versions_of(found: Any) -> dict[str, str]:
    """As `results`, the version of each key: its value is not looked at."""
    try:
        return {str(row["Key"]): str(int(row["ModifyIndex"])) for row in _rows(found)}
    except (TypeError, KeyError, ValueError):
        pass
    raise malformed()


def _rows(found: Any) -> list[Any]:
    try:
        return [row for one in found["Results"] or () if (row := one["KV"])["ModifyIndex"]]
    except (TypeError, KeyError):
        return [None]


def malformed() -> MalformedError:
    return MalformedError("store-malformed", "Consul answered something that no Consul should")


def unknown(what: str) -> OutcomeUnknownError:
    return OutcomeUnknownError(
        "outcome-unknown", f"Consul answered {what}: whether the write was applied is not known"
    )


def conflict(key: str) -> ConflictError:
    return ConflictError("conflict", f"{key} is not what was expected; nothing was written")


def not_applied(answer: Answer, keys: Sequence[str]) -> StoreError:
    """409 to a transaction: an expectation that fails, or a right that is missing. `keys`, by operation."""
    try:
        errors = json.loads(answer.body)["Errors"]
        texts = [str(error["What"]) for error in errors]
        at = int(errors[0]["OpIndex"])
    except (TypeError, KeyError, ValueError, IndexError, RecursionError):
        return unknown("409 with something else")
    refused = next((text for text in texts if "Permission denied" in text or "ACL not found" in text), "")
    if refused:
        return _denied(refused)
    return conflict(keys[at] if 0 <= at < len(keys) else keys[0])


def refused(answer: Answer, *, writes: bool = False) -> StoreError:
    """What a status other than 200 means."""
    text = answer.body[:1000].decode("utf-8", "replace")
    if answer.status in (401, 403):
        return _denied(text)
    if answer.status == 413 and (few := _TOO_MANY.search(text)):
        return TooLargeError(
            "write-too-large",
            f"this Consul takes {few[1]} operations in one write",
            why=["Consul before 1.14 takes 64"],
            hint=[f"say so in the URL of the store: consul://host/prefix?ops={few[1]}"],
        )
    if answer.status in _MEANT:
        kind, word, what = _MEANT[answer.status]
        return kind(word, what)
    if answer.status == 500 and ("No cluster leader" in text or "No path to datacenter" in text):
        return UnavailableError("store-unavailable", "Consul has no leader at the moment")
    if writes and (answer.status >= 500 or answer.status in _CUT):
        return unknown(str(answer.status))
    return UnavailableError("store-unavailable", f"Consul answered {answer.status}")


def _denied(text: str) -> DeniedError:
    """Of what Consul says only the right and the key are repeated: not the accessor of the token."""
    lacks = _LACKS.search(text)
    if lacks:
        what = f"the token lacks {lacks[1]}" + (f" on {lacks[2]}" if lacks[2] else "")
    elif "ACL not found" in text:
        what = "it does not know the token, or no longer"
    else:
        what = "the token does not exist, or lacks key:write or key:read below the prefix"
    return DeniedError(
        "store-denied", f"Consul refused: {what}", hint=["a policy to paste is in docs/guides/consul.md"]
    )


_MEANT: Mapping[int, tuple[type[StoreError], str, str]] = {
    400: (UnsupportedError, "bad-key", "Consul did not take the request: a key or option that it refuses"),
    413: (TooLargeError, "write-too-large", "Consul takes no request of this size or so many operations"),
    429: (UnavailableError, "store-unavailable", "Consul asks for fewer requests"),
}

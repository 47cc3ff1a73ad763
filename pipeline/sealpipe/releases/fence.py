"""The fence of an environment, its `state` key: which commit was published last, signed by who did it."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from sealpipe.canonical import canonical, strict_json
from sealpipe.crypto import signing
from sealpipe.errors import TrustError
from sealpipe.fields import NAME
from sealpipe.releases.payloads import HEX32, TIME
from sealpipe.releases.wire import encode_state, split_state
from sealpipe.trust import Trust, Verify

__all__ = ["Fence", "check_state", "encode_state", "fence_bytes"]

_COMMIT = re.compile(r"(?:[0-9a-f]{40}|[0-9a-f]{64})?")
_TEXT = re.compile(r"[^\x00-\x1f\x7f]{0,128}")


class Fence(NamedTuple):
    """The last publish of an environment. It is not a lock: it says which commit others must descend from."""

    project: str
    environment: str
    commit: str  # "" outside git
    batch: str
    publisher: str  # name of the key, for people
    at: str  # RFC 3339, UTC


def fence_bytes(fence: Fence) -> bytes:
    """Canonical JSON: the body that KIND STATE signs. Raises ValueError for what no reader would accept."""
    data = canonical(fence._asdict())
    if not _is_fence(fence._asdict()):
        raise ValueError("a field of the fence is not what it must be")
    return data


def check_state(raw: bytes, trust: Trust, environment: str, *, verify: Verify = signing.verify) -> Fence:
    """The fence in these bytes, signed by a publisher or break-glass key that `trust` lists today.

    Raises TrustError: [malformed-state]; [foreign-state] of another project or environment;
    [unlisted-state] signed by no key that counts today, so it does not fence. Checks no ancestry.
    """
    block = split_state(raw)
    roles = trust.environments.get(environment)
    names = {*roles.publishers.of, *roles.break_glass.of} if roles else set()
    allowed = {trust.keys[name].sign for name in names}
    if not any(
        key in allowed and verify("STATE", block.body, key, signature) for key, signature in block.signatures
    ):
        raise TrustError(
            "unlisted-state",
            f"the last publish of {environment} was signed by no key that may publish there today",
        )
    data = strict_json(block.body, what="state", word="malformed-state", depth=4)
    if not isinstance(data, dict) or set(data) != set(Fence._fields) or not _is_fence(data):
        raise TrustError("malformed-state", "the state in the store is not one")
    fence = Fence(**data)
    if (fence.project, fence.environment) != (trust.project, environment):
        raise TrustError("foreign-state", "the state in the store is of another project or environment")
    return fence


def _is_fence(data: dict[str, Any]) -> bool:
    forms = {
        "project": HEX32,
        "environment": NAME,
        "commit": _COMMIT,
        "batch": _TEXT,
        "publisher": _TEXT,
        "at": TIME,
    }
    return all(isinstance(data[name], str) and form.fullmatch(data[name]) for name, form in forms.items())

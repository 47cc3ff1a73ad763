"""Whether an endpoint honours conditional writes, tried out once for each bucket and process.

Some that speak S3 take every condition for granted, overwrite and answer 200: two publishers would both be
told that they won.
"""

from __future__ import annotations

import secrets
import threading
from contextlib import suppress
from typing import NamedTuple

from sealpipe.errors import ConflictError, OutcomeUnknownError, StoreError, UnavailableError, UnsupportedError
from sealpipe.stores.s3.calls import Calls

NO_SUCH = '"00000000000000000000000000000000"'


class Verdict(NamedTuple):
    why: str  # it must not be written to; "" when it may be
    deletes: bool  # conditional deletes are honoured too


_verdicts: dict[tuple[str, str], Verdict] = {}
_lock = threading.Lock()


def require(calls: Calls, timeout: float, *, deletes: bool = False) -> None:
    """Raises UnsupportedError [no-conditional-writes], and what the store raises when it cannot be tried."""
    place = (calls.endpoint, calls.place.bucket)
    verdict = _verdicts.get(place)
    if verdict is None:
        with _lock:
            verdict = _verdicts.get(place) or _verdicts.setdefault(place, _try(calls, timeout))
    why = verdict.why or ("it ignores If-Match when it deletes" if deletes and not verdict.deletes else "")
    if why:
        raise UnsupportedError(
            "no-conditional-writes",
            f"{place[0]} does not keep the promises that publishing needs: {why}",
            why=["of two publishers at once, both would be told that theirs is published"],
            hint=["AWS S3, SeaweedFS 4.48 or later, and MinIO do; or publish to another store"],
        )


def _try(calls: Calls, timeout: float) -> Verdict:
    key = f"{calls.place.root}.probe-{secrets.token_hex(8)}"  # no key of ours starts with a dot

    def refused(operation: str, **parameters: object) -> bool:
        try:
            answer = calls.send(operation, timeout, Key=key, **parameters)
        except ConflictError:
            return True
        return answer is None

    failed: StoreError | None = None
    try:
        if refused("put_object", Body=b"1", IfNoneMatch="*"):
            return Verdict("it says that a new key exists", deletes=False)
        if not refused("put_object", Body=b"2", IfNoneMatch="*"):
            return Verdict("it ignores If-None-Match and overwrites", deletes=False)
        if not refused("put_object", Body=b"3", IfMatch=NO_SUCH):
            return Verdict("it ignores If-Match and overwrites", deletes=False)
        return Verdict("", deletes=refused("delete_object", IfMatch=NO_SUCH))
    except UnsupportedError as error:
        return Verdict(error.finding.what, deletes=False)
    except OutcomeUnknownError as error:
        failed = UnavailableError("store-unavailable", f"trying the store out failed: {error.finding.what}")
    finally:
        with suppress(StoreError):
            calls.send("delete_object", timeout, Key=key)
    raise failed

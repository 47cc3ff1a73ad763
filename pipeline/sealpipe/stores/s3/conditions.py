"""Whether an endpoint honours conditional writes, tried out once for each bucket and process.

Some that speak S3 take every condition for granted, overwrite and answer 200: two publishers would both be
told that they won.
"""

from __future__ import annotations

import secrets
import threading
import time
from contextlib import suppress

from sealpipe.errors import ConflictError, OutcomeUnknownError, StoreError, UnavailableError, UnsupportedError
from sealpipe.frozen import NamedTuple
from sealpipe.stores.s3.calls import Calls

_TRIES = 3
_PAUSE = 0.3
NO_SUCH = '"00000000000000000000000000000000"'


class Verdict(NamedTuple):
    why: str  # it must not be written to; "" when it may be
    deletes: bool  # conditional deletes are honoured too


_verdicts: dict[tuple[str, str], Verdict] = {}
_lock = threading.Lock()


def require(calls: Calls, key: str, timeout: float, *, deletes: bool = False) -> None:
    """Tried beside `key`, where whoever writes it has the right to.

    Raises UnsupportedError [no-conditional-writes], and what the store raises when it cannot be tried.
    """
    place = (calls.endpoint, calls.place.bucket)
    verdict = _verdicts.get(place)
    if verdict is None:
        with _lock:
            verdict = _verdicts.get(place) or _verdicts.setdefault(place, _verdict(calls, key, timeout))
    why = verdict.why or ("it ignores If-Match when it deletes" if deletes and not verdict.deletes else "")
    if why:
        raise UnsupportedError(
            "no-conditional-writes",
            f"{place[0]} does not keep the promises that publishing needs: {why}",
            why=["of two publishers at once, both would be told that theirs is published"],
            hint=["AWS S3, SeaweedFS 4.48 or later, and MinIO do; or publish to another store"],
        )


def _verdict(calls: Calls, key: str, timeout: float) -> Verdict:
    deadline = time.monotonic() + timeout
    folder = calls.place.root + "".join(key.partition("/")[:2] if "/" in key else ())
    for _ in range(_TRIES):
        failed, verdict = _try(calls, folder, max(deadline - time.monotonic(), 1.0))
        if verdict is not None:
            return verdict
        if time.monotonic() + _PAUSE >= deadline:
            break
        time.sleep(_PAUSE)  # each time with another key, so that nothing is left to wonder about
    raise UnavailableError("store-unavailable", f"the store could not be tried out: {failed}")


def _try(calls: Calls, folder: str, timeout: float) -> tuple[str, Verdict | None]:
    key = f"{folder}.probe-{secrets.token_hex(8)}"  # no key of ours starts with a dot

    def refused(operation: str, **parameters: object) -> bool:
        try:
            answer = calls.send(operation, timeout, Key=key, **parameters)
        except ConflictError:
            return True
        return answer is None

    try:
        if refused("put_object", Body=b"1", IfNoneMatch="*"):
            return "", Verdict("it says that a new key exists", deletes=False)
        if not refused("put_object", Body=b"2", IfNoneMatch="*"):
            return "", Verdict("it ignores If-None-Match and overwrites", deletes=False)
        if not refused("put_object", Body=b"3", IfMatch=NO_SUCH):
            return "", Verdict("it ignores If-Match and overwrites", deletes=False)
        return "", Verdict("", deletes=refused("delete_object", IfMatch=NO_SUCH))
    except UnsupportedError as error:
        return "", Verdict(error.finding.what, deletes=False)
    except OutcomeUnknownError as error:
        return error.finding.what, None
    finally:
        with suppress(StoreError):
            calls.send("delete_object", timeout, Key=key)

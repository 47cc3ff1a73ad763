"""A server's clock against this one. Releases carry the publisher's time, so it should not be far off."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime

from sealpipe.stores.base import Fact

MUCH = 30.0  # seconds


def clock(headers: Mapping[str, str], now: float | None = None) -> list[Fact]:
    """What the `date` of an HTTP answer says; nothing where it has none. It counts whole seconds."""
    try:
        there: datetime = parsedate_to_datetime(headers.get("date", ""))
    except (ValueError, TypeError):
        return []
    here = time.time() if now is None else now
    return [ahead(there.timestamp() + 0.5 - here)]


def ahead(seconds: float) -> Fact:
    """What it means that a server's clock is so far ahead of ours; negative: behind it."""
    if abs(seconds) <= MUCH:
        return Fact("ok", f"its clock agrees with this one to {max(1, round(abs(seconds)))} s")
    way = "ahead of" if seconds > 0 else "behind"
    what = (
        f"its clock is {abs(seconds):,.0f} s {way} this one; after a lost store, new releases count by time"
    )
    return Fact("warning", what, "set the clock of whichever is wrong: timedatectl")

"""`sealpipe watch`: releases as JSON lines."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from sealpipe.cli import options, output
from sealpipe.cli.options import Common, Target

if TYPE_CHECKING:
    from sealpipe.client.events import Event
    from sealpipe.serving.follow import Follower

_EXAMPLES = (
    "sealpipe watch dev/checkout",
    "sealpipe watch dev/checkout --reveal | jq -r .values.db.host",
)


@options.command("watch", examples=_EXAMPLES)
@options.target_argument(service="required")
@options.option("--reveal", is_flag=True, help="Open the secrets with your key.")
@options.option("--once", is_flag=True, help="Print what is published now, and end.")
@options.common()
def command(opts: Common, *, target: Target, reveal: bool, once: bool) -> int:
    """Print ENV/SERVICE's release, then each newer one, as a JSON line: verified, until Ctrl-C.

    What is not taken, an outage and its end are lines too, with `kind` and `text`. Secrets are
    `sealed (TYPE)` without --reveal. With SEALPIPE_URL set no repository is needed.
    """
    from sealpipe.cli.services.watching import followed
    from sealpipe.serving.follow import Follower, follow

    unit = target.unit()
    found = followed(opts, unit, reveal=reveal)
    lines = _Lines()
    follower = Follower(lines.told)
    feed = follow(found.source, follower, found.opens)
    try:
        follower.changed.clear()
        lines.release(follower, reveal=reveal)
        while not once:
            if follower.changed.wait(1.0):
                follower.changed.clear()
                lines.release(follower, reveal=reveal)
            lines.flush()
        return 0
    finally:
        feed.leave(follower)


class _Lines:
    """Prints from one thread only: what the feed's thread tells waits here."""

    def __init__(self) -> None:
        self._waiting: list[dict[str, Any]] = []

    def told(self, happened: Event) -> None:
        if happened.kind not in ("loaded", "applied"):
            self._waiting.append(happened.as_dict())

    def flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        for line in waiting:
            _print(line)

    def release(self, follower: Follower, *, reveal: bool) -> None:
        from sealpipe.client.variables import revealed
        from sealpipe.looking.reading import sealed_shown

        self.flush()
        release, handed = follower.release, follower.handed
        if release is None or handed is None:
            raise AssertionError  # `follow` has it
        payload = release.payload
        _print(
            {
                "kind": "release",
                "unit": str(release.unit),
                "number": payload.number,
                "digest": release.digest,
                "order": str(release.order),
                "published_at": payload.created_at,
                "commit": (payload.git or {}).get("commit", ""),
                "values": revealed(handed.values) if reveal else sealed_shown(release),
            }
        )


def _print(line: dict[str, Any]) -> None:
    output.echo(json.dumps(line, ensure_ascii=False, separators=(",", ":")))
    sys.stdout.flush()

"""What a rollback leaves behind: the values it rejected, and whether a configuration still has one.

`rejected` in a release is a list of `{path, value?}`: `path` is a JSON Pointer in which an element of a
keyed list is named `field=value` (the value as JSON), `value` is absent where the rejected content had
none. A rejected secret is its token: what it holds stays sealed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sealpipe.canonical import canonical
from sealpipe.frozen import NamedTuple
from sealpipe.paths import Member, Path, show_path
from sealpipe.released import Draft
from sealpipe.stages.changes import leaves


class Rejected(NamedTuple):
    """One rejected value that a configuration still renders."""

    path: str  # as people write it
    secret: bool
    present: bool  # False: what was rejected is that nothing stands here
    value: Any = None  # plain values only


def hold_path(path: Path) -> str:
    """The path as it stands in a hold."""
    parts = (f"{s.field}={canonical(s.value).decode()}" if isinstance(s, Member) else str(s) for s in path)
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)


def rejected(bad: Draft, good: Draft, *, with_secrets: bool) -> list[dict[str, Any]]:
    """What a rollback from `bad` to `good` rejects: every path whose value it changes or takes away.

    Secrets are named only when they go back as well: otherwise the current one is published on purpose.
    """
    before, after = leaves(bad), leaves(good)
    found: list[dict[str, Any]] = []
    for path, leaf in before.items():
        kept = after.get(path)
        if leaf.sealed and not with_secrets:
            continue
        if kept is None or canonical(kept.value) != canonical(leaf.value):
            found.append({"path": hold_path(path), "value": leaf.value})
    found += [
        {"path": hold_path(path)}
        for path, leaf in after.items()
        if path not in before and (with_secrets or not leaf.sealed)
    ]
    return found


def still_rendered(hold: Mapping[str, Any], now: Draft) -> tuple[Rejected, ...]:
    """The rejected values that `now` would publish again; empty when the hold has ended."""
    found: list[Rejected] = []
    current = {hold_path(path): leaf for path, leaf in leaves(now).items()}
    for entry in hold.get("rejected", ()):
        leaf = current.get(entry["path"])
        if "value" not in entry:
            if leaf is None:
                found.append(Rejected(_shown(entry["path"]), secret=False, present=False))
            continue
        if leaf is None or canonical(leaf.value) != canonical(entry["value"]):
            continue
        value = None if leaf.sealed else leaf.value
        found.append(Rejected(show_path(leaf.path), leaf.sealed, present=True, value=value))
    return tuple(found)


def _shown(pointer: str) -> str:
    parts = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    return show_path(tuple(parts))

"""Whether a schema still takes what an earlier one took.

jsonschema-rs's canonical inclusion: exact where it decides, and it says where it does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def covers(new: Mapping[str, Any], old: Mapping[str, Any]) -> str:
    """Whether every document that fits `old` fits `new`: "yes", "no" or "unknown".

    Unknown is honest: equal patterns written otherwise, `not` and some conditions are not decided. Our
    own keywords are annotations and do not count.
    """
    import jsonschema_rs

    try:
        found = jsonschema_rs.canonicalize(_plain(new)).covers(jsonschema_rs.canonicalize(_plain(old)))
    except ValueError:
        return "unknown"
    return str(found) if str(found) in ("yes", "no") else "unknown"


def _plain(node: Any) -> Any:
    # A property may be called x-something; a keyword of ours is one only where a schema stands.
    if isinstance(node, list):
        return [_plain(inner) for inner in node]
    if not isinstance(node, Mapping):
        return node
    return {
        key: {name: _plain(inner) for name, inner in value.items()}
        if key in ("properties", "$defs", "patternProperties") and isinstance(value, Mapping)
        else _plain(value)
        for key, value in node.items()
        if not str(key).startswith("x-")
    }

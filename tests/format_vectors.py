"""The cases of tests/vectors/, in the shape of its README."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "vectors"


@cache
def cases(name: str) -> tuple[dict[str, Any], ...]:
    return tuple(json.loads((FOLDER / f"{name}.json").read_text("utf-8"))["vectors"])


def flat(name: str) -> list[dict[str, Any]]:
    """The same with inputs and results side by side."""
    return [
        {"name": row["name"], "refused": row.get("refused", "")} | row["given"] | row.get("gives", {})
        for row in cases(name)
    ]

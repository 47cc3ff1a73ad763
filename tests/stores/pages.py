"""What a store's guide gives to paste: its policies, as they stand on the page."""

from __future__ import annotations

import re
from pathlib import Path

GUIDES = Path(__file__).parents[2] / "docs" / "guides"


def policy(page: str, name: str) -> str:
    """The code block under `<!-- policy: NAME -->`."""
    text = (GUIDES / page).read_text(encoding="utf-8")
    found = re.search(rf"<!-- policy: {name} -->\n```\w*\n(.*?)```", text, re.S)
    assert found is not None, f"{page} has no policy {name}"
    return found[1]

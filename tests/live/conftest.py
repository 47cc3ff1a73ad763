from __future__ import annotations

from pathlib import Path

import pytest
from tests.live.store import OneService


@pytest.fixture
def shop(tmp_path: Path) -> OneService:
    return OneService(tmp_path / "store")


@pytest.fixture
def cached_shop(tmp_path: Path) -> OneService:
    return OneService(tmp_path / "store", tmp_path / "cache")

"""pytest fixtures; nothing is active unless a test asks for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sealpipe.testing.published import Published, published


@pytest.fixture
def published_config() -> Iterator[Published]:
    """An empty store for this test: `.publish(service, {...})`, `.publish_invalid(service)`, `.go_down()`."""
    with published() as found:
        yield found

"""A home for each test of the web: real store, real fleet, a clock that is turned."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.web.gallery import every_state
from tests.web.site import Home, at_home
from tests.web.stacked import stacked


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Home]:
    """A hub with a source in every state, and a stack that was deployed."""
    async with at_home(tmp_path, every_state()) as made:
        await stacked(made)
        yield made


@pytest.fixture
async def empty_home(tmp_path: Path) -> AsyncIterator[Home]:
    """A hub that knows nothing and nobody."""
    async with at_home(tmp_path) as made:
        yield made

"""A real database in a folder of its own for each test; the migrations run once and the file is copied."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lastgood.store.database import Database, open_database


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a database in which nothing was written yet."""
    made = open_database(tmp_path_factory.mktemp("fresh"))
    asyncio.run(made.close())
    return made.path


@pytest.fixture
async def database(tmp_path: Path, fresh: Path) -> AsyncIterator[Database]:
    (tmp_path / "data").mkdir()
    shutil.copy(fresh, tmp_path / "data")
    opened = open_database(tmp_path / "data")
    yield opened
    await opened.close()

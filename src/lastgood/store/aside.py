"""One transaction beside a running hub, for commands on its own machine such as ``lastgood user reset``.

The one rule: nothing of the fleet is changed here, since the hub would not know; people and links are read from the
database each time, so they may.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DatabaseError

from lastgood.errors import ConfigError
from lastgood.store.database import DATABASE_NAME
from lastgood.store.engine import explain, writing_engine
from lastgood.store.migrate import inspect
from lastgood.store.schema import REVISIONS

_T = TypeVar("_T")


def beside_the_hub(folder: Path, fn: Callable[[Connection], _T]) -> _T:
    """What ``fn`` answered, committed. Raises ConfigError for a missing or foreign database, else StoreError."""
    path = folder / DATABASE_NAME
    revision = inspect(path)
    if revision is None:
        raise ConfigError(f"There is no database in {folder}; name the hub's data folder with --data-dir.")
    if revision != REVISIONS[-1]:
        raise ConfigError(f"The database {path} is of an older lastgood; start the hub once to upgrade it.")
    engine = writing_engine(path)
    try:
        with engine.begin() as connection:
            return fn(connection)
    except DatabaseError as error:
        raise explain(error, path, "written") from error
    finally:
        engine.dispose()

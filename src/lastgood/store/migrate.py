"""Brings a database to the schema of this program before anything else touches it.

A fresh file gets every table, an older one is copied beside itself and then migrated in one transaction; what a newer
program or somebody else made is refused and left as it is. The one rule: nothing is written before we know whose
database it is. Migrations are Alembic's, in ``migrations/``.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from sqlalchemy import Engine

from lastgood import __version__
from lastgood.errors import ConfigError
from lastgood.store.schema import REVISIONS

MIGRATIONS = Path(__file__).parent / "migrations"


def inspect(path: Path, revisions: Sequence[str] = REVISIONS) -> str | None:
    """The revision of the database in this file, None for a fresh one. Raises ConfigError for what is not ours."""
    if not path.exists() or path.stat().st_size == 0:
        return None
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5)) as connection:
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if not tables:
                return None
            held = []
            if "alembic_version" in tables:
                held = [row[0] for row in connection.execute("SELECT version_num FROM alembic_version")]
    except sqlite3.Error as error:
        raise ConfigError(
            f"The database {path} cannot be read ({error}); put back a copy of it, or move it away to begin anew."
        ) from error
    if len(held) != 1:
        raise ConfigError(
            f"The database {path} is not one of lastgood; move it away, or choose another folder with --data-dir."
        )
    revision = str(held[0])
    if revision not in revisions:
        raise ConfigError(
            f"The database {path} was made by a newer lastgood (schema {revision}, this is version {__version__}"
            f" with schema {revisions[-1]}); start that newer version, or put back a copy from before the upgrade."
        )
    return revision


def migrate(
    engine: Engine, path: Path, revisions: Sequence[str] = REVISIONS, migrations: Path = MIGRATIONS
) -> Path | None:
    """Bring the database to the newest revision; answers the copy that was made of an older one, if any."""
    revision = inspect(path, revisions)
    if revision == revisions[-1]:
        return None
    copy = None if revision is None else _copy(path, path.with_name(f"{path.name}.before-{revisions[-1]}"))

    # Most starts need no migration, and a start should not pay for importing what it does not need.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revisions[-1])
    return copy


def _copy(path: Path, beside: Path) -> Path:
    """A consistent copy of the database, whatever lies in its write-ahead log."""
    partial = beside.with_name(f"{beside.name}.partial")
    partial.unlink(missing_ok=True)
    os.close(os.open(partial, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600))
    try:
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(partial)) as target:
            source.backup(target)
        partial.replace(beside)
    except (OSError, sqlite3.Error) as error:
        partial.unlink(missing_ok=True)
        raise ConfigError(
            f"The database {path} must be upgraded, and no copy of it could be made at {beside} ({error});"
            " make room on that disk."
        ) from error
    return beside

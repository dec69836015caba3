"""Promise 8: an upgrade keeps every row, and an older program refuses a newer database and leaves it as it is."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from lastgood.errors import ConfigError
from lastgood.store.database import DATABASE_NAME, Database, open_database
from lastgood.store.engine import writing_engine
from lastgood.store.folder import FolderLock
from lastgood.store.migrate import MIGRATIONS, migrate
from lastgood.store.records import set_meta
from lastgood.store.schema import REVISIONS, metadata

_NEXT = """
import sqlalchemy as sa
from alembic import op

revision = "next"
down_revision = "{before}"


def upgrade():
    op.add_column("meta", sa.Column("noted", sa.String))
    op.execute("UPDATE meta SET noted = 'kept'")
    {more}
"""


def with_next(folder: Path, more: str = "") -> Path:
    """The migrations of a program one release ahead."""
    made = folder / "migrations"
    shutil.copytree(MIGRATIONS, made, ignore=shutil.ignore_patterns("__pycache__"))
    (made / "versions" / "next.py").write_text(_NEXT.format(before=REVISIONS[-1], more=more))
    return made


async def one_row(folder: Path) -> Path:
    """A database of today with something in it, closed."""
    database = open_database(folder)
    await database.write(lambda connection: set_meta(connection, "colour", "green"))
    await database.close()
    return database.path


async def test_the_migrations_make_exactly_the_schema(database: Database) -> None:
    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        return list(compare_metadata(context, metadata))

    assert await database.read(differences) == []


def test_the_known_revisions_are_those_of_the_scripts() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    scripts = ScriptDirectory.from_config(config)
    assert tuple(script.revision for script in reversed(list(scripts.walk_revisions()))) == REVISIONS


async def test_a_newer_database_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = await one_row(tmp_path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    before = path.read_bytes()
    with pytest.raises(ConfigError, match=r"newer lastgood \(schema 9999.*start that newer version"):
        open_database(tmp_path)
    assert path.read_bytes() == before
    FolderLock(tmp_path).release()  # the folder was let go


async def test_an_older_database_is_copied_then_upgraded_with_every_row(tmp_path: Path) -> None:
    path = await one_row(tmp_path / "data")
    copy = migrate(writing_engine(path), path, (*REVISIONS, "next"), with_next(tmp_path))
    assert copy == path.with_name(f"{DATABASE_NAME}.before-next")
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT key, value, noted FROM meta").fetchall() == [("colour", "green", "kept")]
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT * FROM meta").fetchall() == [("colour", "green")]
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(REVISIONS[-1],)]
    assert copy.stat().st_mode & 0o077 == 0


async def test_a_migration_that_fails_changes_nothing(tmp_path: Path) -> None:
    path = await one_row(tmp_path / "data")
    engine = writing_engine(path)
    broken = with_next(tmp_path, more='op.execute("UPDATE no_such_table SET x = 1")')
    with pytest.raises(OperationalError):
        migrate(engine, path, (*REVISIONS, "next"), broken)
    engine.dispose()
    database = open_database(tmp_path / "data")
    await database.close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT * FROM meta").fetchall() == [("colour", "green")]


async def test_a_database_of_today_is_opened_without_a_copy(tmp_path: Path) -> None:
    path = await one_row(tmp_path)
    assert migrate(writing_engine(path), path) is None
    assert [file.name for file in tmp_path.glob("*.before-*")] == []


def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / DATABASE_NAME).write_text("my holiday photographs" * 100)
    with pytest.raises(ConfigError, match=r"cannot be read \(file is not a database\).*move it away"):
        open_database(tmp_path)
    assert (tmp_path / DATABASE_NAME).read_text() == "my holiday photographs" * 100


async def test_a_database_cut_short_is_refused(tmp_path: Path) -> None:
    path = await one_row(tmp_path)
    path.write_bytes(path.read_bytes()[:6_000])
    with pytest.raises(ConfigError, match=r"malformed.*put back a copy"):
        open_database(tmp_path)


def test_somebody_elses_database_is_refused(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / DATABASE_NAME)) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    with pytest.raises(ConfigError, match="not one of lastgood"):
        open_database(tmp_path)


async def test_an_empty_file_left_by_a_broken_start_becomes_a_database(tmp_path: Path) -> None:
    (tmp_path / DATABASE_NAME).touch()
    database = open_database(tmp_path)
    await database.close()
    assert database.path.stat().st_size > 0

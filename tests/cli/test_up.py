"""What ``lastgood up`` leaves behind where it could not begin."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from tests.flow.hub import lastgood

pytestmark = pytest.mark.skipif(
    shutil.which("restic") is None, reason="restic is not installed: apt-get install restic"
)


def test_a_repository_that_did_not_open_stayed_as_a_source_that_failed_every_night(tmp_path: Path) -> None:
    repository, data = tmp_path / "vault", tmp_path / "data"
    env = {"PATH": os.environ["PATH"], "RESTIC_PASSWORD": "somebody else's", "RESTIC_CACHE_DIR": str(tmp_path / "c")}
    subprocess.run(["restic", "-r", str(repository), "init"], env=env, check=True, capture_output=True)
    ended = lastgood(
        "up", "--once", "--listen", "127.0.0.1:0", "--data-dir", str(data), "--repository", str(repository)
    )
    assert ended.returncode == 78, ended.stderr
    assert "password does not open" in ended.stderr
    with closing(sqlite3.connect(data / "lastgood.db")) as database:
        assert database.execute("SELECT kind FROM fact_log").fetchall() == []
        assert database.execute("SELECT id FROM state_rows WHERE kind = 'source'").fetchall() == []


def test_settings_that_ask_for_tls_are_refused_before_anything_is_made(tmp_path: Path) -> None:
    data = tmp_path / "data"
    env = {"LASTGOOD_SERVER__TLS_CERT": "/nowhere/cert.pem", "LASTGOOD_SERVER__TLS_KEY": "/nowhere/key.pem"}
    ended = lastgood("up", "--once", "--data-dir", str(data), env=env)
    assert ended.returncode == 78, ended.stderr
    assert "lastgood serve" in ended.stderr
    assert not data.exists()

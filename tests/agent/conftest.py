"""A host for an agent, with a repository that is there or one that was never made."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.agent.working import Place


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty repository, made once and copied, since opening one costs restic half a second."""
    folder = tmp_path_factory.mktemp("template")
    env = {"PATH": os.environ["PATH"], "RESTIC_PASSWORD": "correct-horse", "RESTIC_CACHE_DIR": str(folder / "cache")}
    subprocess.run(["restic", "-r", str(folder / "repository"), "init"], env=env, check=True, capture_output=True)
    return folder / "repository"


@pytest.fixture
def place(tmp_path: Path, template: Path) -> Place:
    shutil.copytree(template, tmp_path / "repository")
    return Place(tmp_path)


@pytest.fixture
def bare_place(tmp_path: Path) -> Place:
    """A place whose repository was never made."""
    return Place(tmp_path)

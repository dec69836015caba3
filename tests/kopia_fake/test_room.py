"""The doubles of Kopia stand alone: they import the standard library and each other, nothing of what they test."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

TESTS = Path(__file__).parent.parent
LONGEST = 300
ALLOWED = {"tests.kopia_fake", "tests.pbs_simulator.certificate"}


def imported(file: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module or "")
    return {name for name in names if name.partition(".")[0] not in sys.stdlib_module_names}


def files(folder: str) -> list[Path]:
    return [file for file in (TESTS / folder).glob("*.py") if not file.name.startswith("test_")]


def test_the_command_needs_the_standard_library_alone() -> None:
    assert len(files("kopia_fake")) > 12
    assert {(file.name, name) for file in files("kopia_fake") for name in imported(file)} == set()


def test_the_server_needs_the_commands_world_and_a_certificate_besides() -> None:
    names = {name for file in files("kopia_server") for name in imported(file)}
    assert {name for name in names if not any(name == one or name.startswith(f"{one}.") for one in ALLOWED)} == set()


def test_no_file_is_longer_than_a_house_file() -> None:
    every = files("kopia_fake") + files("kopia_server")
    assert [file.name for file in every if len(file.read_text().splitlines()) > LONGEST] == []

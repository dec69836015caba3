"""The simulator stands alone: what it imports is the standard library and itself."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

ROOM = Path(__file__).parent
LONGEST = 300


def imported(file: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add((node.module or "").partition(".")[0])
    return names


def test_it_needs_the_standard_library_and_nothing_of_what_it_tests() -> None:
    files = [file for file in ROOM.glob("*.py") if not file.name.startswith("test_")]
    assert len(files) > 30
    foreign = {(file.name, name) for file in files for name in imported(file) - sys.stdlib_module_names}
    assert foreign == set()


def test_no_file_is_longer_than_a_house_file() -> None:
    assert [file.name for file in ROOM.glob("*.py") if len(file.read_text().splitlines()) > LONGEST] == []

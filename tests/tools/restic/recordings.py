"""Recorded runs of three restic releases, as values."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "recordings" / "restic"


@dataclass(frozen=True)
class Recording:
    name: str
    command: str
    exit_code: int
    stdout: str
    stderr: str


def recording(name: str) -> Recording:
    """The run ``release/name``."""
    told = json.loads((FOLDER / f"{name}.json").read_text())
    return Recording(name, told["command"], told["exit_code"], told["stdout"], told["stderr"])


NAMES = sorted(f"{path.parent.name}/{path.stem}" for path in FOLDER.glob("*/*.json"))

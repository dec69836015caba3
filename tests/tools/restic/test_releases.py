"""What is said of a restic release, and what is never done with one."""

from __future__ import annotations

from pathlib import Path

import pytest

from lastgood.tools.restic.releases import advice

PACKAGE = Path(__file__).parents[3] / "src" / "lastgood"


@pytest.mark.parametrize("version", ["0.14.0", "0.16.5", "0.19.0", "0.14.0-dev"])
def test_a_release_with_something_against_it_is_named(version: str) -> None:
    assert advice(version) is not None


@pytest.mark.parametrize("version", ["0.17.0", "0.18.1", "0.19.1", "1.0", None, "", "unknown"])
def test_nothing_is_said_against_others_or_of_what_nobody_knows(version: str | None) -> None:
    assert advice(version) is None


def test_restic_is_never_updated_or_installed_from_here() -> None:
    told = [path for path in PACKAGE.rglob("*.py") if "self-update" in path.read_text()]
    assert told == []

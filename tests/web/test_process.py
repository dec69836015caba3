"""What this process knows of itself, held against the kernel and against a /proc tree of our own making."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import lastgood
from lastgood.metrics.own_facts import ProcessFacts
from lastgood.web.process import read_build, read_process


def test_the_numbers_are_those_of_this_process() -> None:
    before = read_process()
    with Path(os.devnull).open() as _one, Path(os.devnull).open() as _other:
        after = read_process()
    assert before.open_files is not None
    assert after.open_files == before.open_files + 2
    assert before.resident_bytes is not None
    assert before.virtual_bytes is not None
    assert 5_000_000 < before.resident_bytes < before.virtual_bytes
    assert before.cpu_seconds is not None
    assert after.cpu_seconds is not None
    assert 0 < before.cpu_seconds <= after.cpu_seconds
    assert before.started_seconds is not None
    assert before.started_seconds < Path("/proc/self/status").stat().st_mtime + 1


def test_a_name_with_brackets_and_blanks_does_not_hide_the_start(tmp_path: Path) -> None:
    own = tmp_path / "self"
    own.mkdir()
    fields = " ".join(str(number) for number in range(4, 53))
    (own / "stat").write_text(f"7 (a (b) c) R {fields}")
    (tmp_path / "stat").write_text("cpu 1 2 3\nbtime 1700000000\nprocesses 5\n")
    ticks = os.sysconf("SC_CLK_TCK")
    assert read_process(tmp_path).started_seconds == 1_700_000_000 + 22 / ticks


def test_what_the_platform_does_not_tell_is_absent(tmp_path: Path) -> None:
    facts = read_process(tmp_path)
    assert facts == ProcessFacts(cpu_seconds=facts.cpu_seconds, most_files=facts.most_files)


def test_the_build_names_its_commit_if_somebody_noted_it(tmp_path: Path) -> None:
    noted = tmp_path / "COMMIT"
    noted.write_text("0123abcd\n")
    build = read_build(noted)
    assert (build.version, build.commit, build.python) == (
        lastgood.__version__,
        "0123abcd",
        platform.python_version(),
    )
    noted.write_text("")
    assert read_build(noted).commit == read_build(tmp_path / "absent").commit == "unknown"

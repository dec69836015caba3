"""`python -m tests.pbs_simulator` as a developer meets it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from . import MONITOR, Setting, Simulator
from .__main__ import main
from .asking import ask
from .refusal import Mistake
from .sizes import size_named
from .world import World

ROOT = Path(__file__).parent.parent.parent


def started(*arguments: str) -> tuple[subprocess.Popen[str], dict[str, Any]]:
    command = [sys.executable, "-m", "tests.pbs_simulator", *arguments]
    program = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert program.stdout is not None
    return program, json.loads(program.stdout.readline())


def client_of(told: dict[str, Any]) -> Simulator:
    """What a client of the tests needs of a server, from the line it printed."""
    shown = f"PBSAPIToken={told['token']}"
    seen = SimpleNamespace(port=told["port"], ca_file=told["ca_file"], authorization=lambda token=MONITOR: shown)
    return cast(Simulator, seen)


def ended(program: subprocess.Popen[str]) -> int:
    program.send_signal(signal.SIGTERM)
    with program:
        return program.wait(20)


def test_it_prints_one_line_serves_and_ends_on_a_signal(tmp_path: Path) -> None:
    faults = tmp_path / "faults.json"
    faults.write_text('[{"match": {"path": "/api2/json/admin/gc"}, "do": {"status": 503}}]')
    program, told = started("--pbs-version", "4.2.3", "--faults", str(faults), "--seed", "5")
    try:
        pbs = client_of(told)
        assert ask(pbs, "version").data["version"] == "4.2"
        assert ask(pbs, "admin/gc").status == 503
    finally:
        assert ended(program) == 0
    assert not Path(told["ca_file"]).exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--size", "huge"], "there is no size 'huge'; say small, medium, large, states or the path of a .json file"),
        (["--size", "/nowhere/x.json"], "/nowhere/x.json cannot be read (No such file or directory)"),
        (["--pbs-version", "5"], "'5' is no version this simulator can be"),
        (["--port", "99999"], "port 99999 cannot be used"),
        (["--control-port", "99999"], "control port 99999 cannot be used"),
        (["--faults", "/nowhere/f.json"], "/nowhere/f.json cannot be read"),
    ],
)
def test_a_wrong_argument_is_told_in_one_sentence(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1


def test_help_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ending:
        main(["--help"])
    assert ending.value.code == 0
    told = capsys.readouterr().out
    assert "python -m tests.pbs_simulator --size medium" in told
    assert "curl http://127.0.0.1:8008/truth" in told


def test_a_size_of_ones_own_comes_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    file.write_text('{"states": ["ordinary", "offline"], "groups": 40, "snapshots": 400}')
    size = size_named(str(file))
    world = World(Setting(size=replace(size, namespaces=1)))
    assert len(world.groups()) == 40
    assert (size.groups, size.snapshots, size.tasks, len(size.states)) == (40, 400, 150, 2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "no object"),
        ("{", "is not JSON"),
        ('{"disks": 1}', "an unknown field, 'disks'"),
        ('{"groups": "many"}', "say a number"),
        ('{"states": ["haunted"]}', "no store can be 'haunted'"),
        ('{"states": ["offline"]}', "at least one store that is ordinary"),
        ('{"groups": 500}', "at least 12, and two for each"),
        ('{"tasks": 5}', "say at least 100"),
        ('{"namespaces": 0}', "1 to 20 namespaces"),
    ],
)
def test_a_size_that_makes_no_sense_is_refused_in_one_sentence(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "mine.json"
    file.write_text(text)
    with pytest.raises(Mistake, match=said):
        size_named(str(file))

"""Every fault of the fake ``kopia`` strikes as told."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import until

from .fake import FakeKopia
from .messages import MESSAGES

LIST = ("snapshot", "list", "--json")


def struck(tmp_path: Path, **fault: Any) -> subprocess.CompletedProcess[bytes]:
    with FakeKopia(tmp_path, faults=[fault]) as kopia:
        return kopia.run(*LIST)


@pytest.mark.parametrize("condition", sorted(MESSAGES))
def test_any_message_of_kopia_can_end_a_command(condition: str, tmp_path: Path) -> None:
    done = struck(tmp_path, kind="exit1", condition=condition)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.decode().strip() == MESSAGES[condition]


def test_valid_json_and_exit_1_is_a_list_that_was_cut(tmp_path: Path) -> None:
    done = struck(tmp_path, kind="exit1-after-valid-json", elements=4)
    assert (done.returncode, len(json.loads(done.stdout))) == (1, 4)
    assert b"unable to load snapshots" in done.stderr


@pytest.mark.parametrize("code", [0, 1])
def test_a_truncated_list_has_no_end(code: int, tmp_path: Path) -> None:
    done = struck(tmp_path, kind="truncated", after=5000, code=code)
    assert (done.returncode, len(done.stdout)) == (code, 5000)
    with pytest.raises(ValueError):
        json.loads(done.stdout)


def test_a_prompt_stands_before_the_list(tmp_path: Path) -> None:
    done = struck(tmp_path, kind="garbage")
    assert done.stdout.startswith(b"Enter password to open repository: [\n {")
    assert done.returncode == 0


def test_colours_are_on_stderr_and_the_list_is_whole(tmp_path: Path) -> None:
    done = struck(tmp_path, kind="ansi")
    assert b"\x1b[31m" in done.stderr
    assert (done.returncode, len(json.loads(done.stdout))) == (0, 30)


def test_a_flood_on_stderr_is_as_long_as_told(tmp_path: Path) -> None:
    done = struck(tmp_path, kind="stderr-flood", bytes=2_000_000)
    assert len(done.stderr) >= 2_000_000
    assert len(json.loads(done.stdout)) == 30


def test_unreadable_manifests_are_missing_and_all_is_said_to_be_well(tmp_path: Path) -> None:
    done = struck(tmp_path, kind="partial", every=10)
    assert (done.returncode, len(json.loads(done.stdout))) == (0, 27)
    assert done.stderr.count(b"unable to parse snapshot manifest") == 3


def test_an_unreadable_policy_leaves_no_reasons(tmp_path: Path) -> None:
    done = struck(tmp_path, kind="policy")
    assert not any("retentionReason" in one for one in json.loads(done.stdout))
    assert done.stderr.count(b"unable to determine effective policy") == 3


def test_a_killed_command_ends_by_signal_9_with_what_it_has_said(tmp_path: Path) -> None:
    done = struck(tmp_path, kind="killed", after=2000)
    assert (done.returncode, len(done.stdout)) == (-signal.SIGKILL, 2000)
    assert struck(tmp_path, kind="killed").stdout == b""


def test_a_fault_strikes_as_often_as_told_and_only_its_command(tmp_path: Path) -> None:
    with FakeKopia(tmp_path) as kopia:
        kopia.faults({"kind": "exit1", "condition": "storage", "command": "snapshot list", "times": 1})
        codes = [kopia.run(*call).returncode for call in (("policy", "list"), LIST, LIST)]
    assert codes == [0, 1, 0]


@pytest.mark.parametrize("kind", ["hang", "hang-mid"])
async def test_a_hanging_call_and_its_child_live_until_they_are_killed(kind: str, tmp_path: Path) -> None:
    with FakeKopia(tmp_path, faults=[{"kind": kind, "after": 3000, "child": True, "deaf": True}]) as kopia:

        async def both_hang() -> bool:
            return len(kopia.hanging()) == 2

        async def none_lives() -> bool:
            return not kopia.hanging()

        environment = {"KOPIA_CONFIG_PATH": str(kopia.connect()), "KOPIA_PASSWORD": "sesame"}
        with subprocess.Popen(
            [kopia.path, *LIST], env=environment, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
        ) as process:
            await until(both_hang, "the call and its child hang")
            process.terminate()
            assert kopia.hanging() and process.poll() is None
            kopia.end_hanging()
            assert process.stdout is not None
            assert len(process.stdout.read()) == (3000 if kind == "hang-mid" else 0)
        await until(none_lives, "the end of both")


def test_a_slow_command_takes_its_time(tmp_path: Path) -> None:
    with (
        FakeKopia(tmp_path, faults=[{"kind": "slow", "rate": 1000}]) as kopia,
        pytest.raises(subprocess.TimeoutExpired),
    ):
        environment = {"KOPIA_CONFIG_PATH": str(kopia.connect()), "KOPIA_PASSWORD": "sesame"}
        subprocess.run([kopia.path, *LIST], env=environment, capture_output=True, timeout=1.0, check=False)


def test_a_missing_program_and_one_that_may_not_be_run_are_what_they_are(tmp_path: Path) -> None:
    kopia = FakeKopia(tmp_path)
    kopia.not_executable()
    with pytest.raises(PermissionError):
        kopia.run(*LIST)
    kopia.missing()
    with pytest.raises(FileNotFoundError):
        kopia.run(*LIST)


def test_too_many_index_blobs_are_complained_of_while_all_is_well(tmp_path: Path) -> None:
    with FakeKopia(tmp_path, index_blobs=1200) as kopia:
        done = kopia.run(*LIST)
        assert kopia.truth()["repository"]["index_blobs"] == 1202
    assert (done.returncode, b"Found too many index blobs (1200)" in done.stderr) == (0, True)

"""What is kept of a long command's output: little, clean, and without secrets."""

from __future__ import annotations

import pytest

from lastgood.tools.restic.output import Progress
from lastgood.tools.restic.redact import Redactor
from lastgood.tools.restic.work import WorkOutput
from tests.tools.restic.recordings import NAMES, recording


def read(stdout: str, stderr: str = "", told: list[Progress] | None = None) -> WorkOutput:
    output = WorkOutput(Redactor(["hunter-two"]), None if told is None else told.append)
    for start in range(0, len(stdout.encode()), 7):  # pieces end anywhere
        output.stdout(stdout.encode()[start : start + 7])
    output.stderr(stderr.encode())
    output.close()
    return output


def test_counters_that_move_are_left_out_and_their_last_word_is_kept() -> None:
    moving = "".join(f"[0:{n:02}] {n}.00%  {n} / 99 packs\n" for n in range(60))
    output = read(f"load indexes\n{moving}\x1b[2K[1:00] 100.00%  99 / 99 packs\r\nno errors were found\n")
    assert output.log.head == ("load indexes", "[1:00] 100.00%  99 / 99 packs", "no errors were found")


def test_a_flood_keeps_its_head_and_its_tail() -> None:
    output = read("".join(f"removing pack {n}\n" for n in range(5000)))
    assert output.log.head[0] == "removing pack 0"
    assert output.log.tail[-1] == "removing pack 4999"
    assert output.log.left_out == 4700


def test_no_secret_stands_in_log_or_errors() -> None:
    ending = '{"message_type":"exit_error","code":1,"message":"Fatal: hunter-two is wrong\\nstack\\ntrace"}\n'
    error = '{"message_type":"error","error":{"message":"at hunter-two"},"item":"/x"}\n'
    output = read("open rest:http://u:hunter-two@h/\n", f"key hunter-two\n{error}{ending}")
    said = f"{output.log.text()}\n{output.error_text()}"
    assert "hunter-two" not in said
    assert said.count("***") >= 4
    assert "trace" not in output.log.text(), "the first line is the message"


def test_a_restore_tells_how_far_it_is_and_a_check_what_it_found() -> None:
    told: list[Progress] = []
    status = '{"message_type":"status","percent_done":0.5,"total_files":4,"files_restored":2,"total_bytes":8}\n'
    summary = '{"message_type":"summary","total_files":4,"files_restored":4,"bytes_restored":8}\n'
    output = read(status + summary + '{"message_type":"verbose_status","action":"restored"}\n{"broken', told=told)
    assert [(one.fraction, one.done_files, one.total_files) for one in told] == [(0.5, 2, 4)]
    assert output.restored is not None
    assert output.restored.files_restored == 4
    assert output.log.head == ("restored: 4 of 4 items, 8 bytes", '{"broken'), "what is no JSON is log"


@pytest.mark.parametrize(
    "name", [name for name in NAMES if name.split("/")[1].startswith(("check", "prune", "restore"))]
)
def test_every_recorded_run_is_read(name: str) -> None:
    played = recording(name)
    output = read(played.stdout, played.stderr)
    assert (output.log.lines_seen > 0) or not (played.stdout + played.stderr).strip()
    assert ("contains errors" in output.error_text()) == ("contains errors" in played.stderr)

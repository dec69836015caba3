"""Lines of a running backup that no recording holds."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lastgood.tools.restic import shapes
from lastgood.tools.restic.output import MOST_ITEMS, BackupOutput, classify


def error_line(item: str, during: str = "archival", error: object = None) -> str:
    return json.dumps({"message_type": "error", "error": error or {}, "during": during, "item": item})


@given(st.text())
def test_no_line_raises(line: str) -> None:
    output = BackupOutput()
    output.stdout(line)
    output.stderr(line)


@given(
    st.dictionaries(
        st.sampled_from(["message_type", "percent_done", "item", "error", "code"]), st.text() | st.integers()
    )
)
def test_no_json_object_raises(payload: dict[str, object]) -> None:
    for kind in ("status", "summary", "error", "exit_error"):
        BackupOutput().stdout(json.dumps(payload | {"message_type": kind}))


def test_a_json_line_behind_an_escape_sequence_is_still_json() -> None:
    assert isinstance(classify('\x1b[2K{"message_type":"status"}'), shapes.Status)


@pytest.mark.parametrize("kind", ["verbose_status", "excluded_item", "changed", "something_from_2031", ""])
def test_an_unknown_message_type_is_skipped(kind: str) -> None:
    output = BackupOutput()
    assert output.stdout(json.dumps({"message_type": kind, "item": "/x"})) is None
    assert output.log.lines_seen == 0


def test_the_mislabelled_scan_finished_line_of_0_14_is_no_progress() -> None:
    assert (
        BackupOutput().stdout('{"message_type":"status","action":"scan_finished","item":"","total_files":6}') is None
    )


@pytest.mark.parametrize(
    "text",
    [
        "create exclusive lock for repository",
        "Load(<data/1234>, 0, 0) returned error, retrying after 552ms: timeout",
        "{broken json",
        "[0:00] 100.00%  4 / 4 index files loaded",
    ],
)
def test_text_on_the_json_stream_is_kept_as_log(text: str) -> None:
    output = BackupOutput()
    assert output.stdout(text) is None
    assert output.log.head == (text,)


def test_progress_does_not_fall_when_the_scan_finds_more() -> None:
    output = BackupOutput()
    lines = [json.dumps({"message_type": "status", "percent_done": part}) for part in (0.5, 0.2, 1.7, -3)]
    told = [output.stdout(line) for line in lines]
    assert [progress.fraction for progress in told if progress] == [0.5, 0.5, 1.0, 1.0]


def test_a_status_with_every_zero_left_out_is_progress_from_the_start() -> None:
    progress = BackupOutput().stdout('{"message_type":"status","percent_done":0,"seconds_remaining":-5}')
    assert progress is not None
    assert (progress.fraction, progress.done_bytes, progress.current_files) == (0.0, 0, ())
    assert progress.seconds_remaining is None


def test_item_errors_are_bounded_but_all_counted() -> None:
    output = BackupOutput()
    for number in range(12_000):
        output.stderr(error_line(f"/srv/{number}", "scan"))
        output.stderr(error_line(f"/srv/{number}", "archival"))
    assert len(output.item_errors) == MOST_ITEMS
    assert output.error_count == 12_000
    assert output.unread_count == 12_000
    assert len(output.log.text()) < 200_000


@pytest.mark.parametrize(
    ("error", "message"),
    [
        ({}, None),
        (None, None),
        ({"message": "open /x: permission denied\nstack"}, "open /x: permission denied"),
        ({"Op": "open", "Path": "/x", "Err": 13}, "open /x: permission denied"),
        ({"Op": "lstat", "Path": "/x", "Err": 2}, "lstat /x: no such file or directory"),
        ({"Op": "open", "Path": "/x", "Err": -1}, "open /x: error -1"),
        ("plain text", "plain text"),
        ({"message": 5}, None),
    ],
)
def test_an_item_error_tells_what_its_release_gives(error: object, message: str | None) -> None:
    output = BackupOutput()
    output.stderr(json.dumps({"message_type": "error", "error": error, "during": "archival", "item": "/x"}))
    (found,) = output.item_errors
    assert (found.path, found.message) == ("/x", message)
    assert output.error_count == 1


def test_the_second_report_of_an_item_adds_the_message_that_the_first_lacked() -> None:
    output = BackupOutput()
    output.stderr(error_line("/x", "scan"))
    output.stderr(error_line("/x", "archival", {"message": "denied"}))
    assert [(item.path, item.message) for item in output.item_errors] == [("/x", "denied")]


def test_what_only_the_scan_missed_is_an_error_but_not_an_unread_file() -> None:
    output = BackupOutput()
    output.stderr(error_line("/x", "scan"))
    assert (output.error_count, output.unread_count) == (1, 0)


def test_every_text_passes_the_scrubber() -> None:
    output = BackupOutput(lambda text: text.replace("hunter2", "***"))
    output.stdout("a line with hunter2")
    output.stderr("/srv/hunter2 does not exist, skipping")
    output.stderr(error_line("/srv/hunter2", error={"message": "hunter2"}))
    output.stderr('{"message_type":"exit_error","code":1,"message":"Fatal: hunter2"}')
    progress = output.stdout('{"message_type":"status","current_files":["/srv/hunter2"]}')
    told = [*output.log.head, *output.skipped_sources, str(output.item_errors), str(progress)]
    assert "***" in told[0]
    assert "hunter2" not in "".join(told)
    assert len(told) == 7


def test_skipped_sources_are_read_from_standard_error_only() -> None:
    output = BackupOutput()
    output.stdout("/srv/a does not exist, skipping")
    output.stderr("/srv/b with space does not exist, skipping")
    assert output.skipped_sources == ["/srv/b with space"]

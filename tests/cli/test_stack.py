"""``lastgood stack``: what following a deploy prints, and what the commands say without a hub."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from lastgood.cli.app import app
from lastgood.cli.stack_following import ended_well, rest, told

COMMANDS = ("deploy", "redeploy", "stop", "restart", "cancel", "list", "show", "text", "history", "log", "forget")


@pytest.mark.parametrize(
    ("printed", "fresh"),
    [
        (0, ["a", "b", "… 3 lines left out …", "f", "g"]),
        (1, ["b", "… 3 lines left out …", "f", "g"]),
        (2, ["… 3 lines left out …", "f", "g"]),
        (4, ["… 3 lines left out …", "f", "g"]),
        (5, ["f", "g"]),
        (6, ["g"]),
        (7, []),
        (9, []),
    ],
)
def test_of_a_whole_log_only_the_lines_are_printed_that_were_not_yet(printed: int, fresh: list[str]) -> None:
    assert rest("a\nb\n… 3 lines left out …\nf\ng", printed) == fresh


@pytest.mark.parametrize(
    ("outcome", "well"), [("success", True), ("failed", False), ("cancelled", False), ("lost", False)]
)
def test_only_a_success_ends_well(outcome: str, well: bool) -> None:
    assert ended_well({"outcome": outcome}) is well


def test_an_end_is_told_in_one_sentence_and_moves_no_cursor() -> None:
    deploy = {"action": "deploy", "project": "shop", "host": "web\x1b[2J", "outcome": "failed", "status": "ended"}
    assert told({**deploy, "reason": "No space."}) == "Deploy of shop on web\ufffd[2J ended as failed: No space."
    running = {**deploy, "host": "web-1", "outcome": None, "status": "running", "reason": None}
    assert told(running) == "Deploy of shop on web-1 is running."


@pytest.mark.parametrize("word", COMMANDS)
def test_every_command_shows_an_example(word: str) -> None:
    result = CliRunner().invoke(app, ["stack", word, "--help"])
    assert result.exit_code == 0
    assert f"Example: lastgood stack {word}" in " ".join(result.stdout.split())


@pytest.mark.parametrize(("raw", "sentence"), [(None, "cannot be read"), (b"\xff\xfe", "not UTF-8 text")])
def test_a_file_that_cannot_be_taken_is_named_before_any_hub_is_asked(
    tmp_path: Path, raw: bytes | None, sentence: str
) -> None:
    path = tmp_path / "compose.yaml"
    if raw is not None:
        path.write_bytes(raw)
    words = ["stack", "deploy", "shop", "--host", "web-1", "--file", str(path), "--data-dir", str(tmp_path)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code != 0
    assert sentence in str(result.exception)
    assert str(path) in str(result.exception)

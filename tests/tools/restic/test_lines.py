"""Streams are cut into clean lines, and nothing grows without bound."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lastgood.tools.restic.lines import LOG_LINE_CHARACTERS, HeadTail, LineSplitter, without_escapes


@given(st.binary(max_size=200), st.lists(st.integers(1, 7), max_size=60))
def test_lines_do_not_depend_on_how_the_stream_was_cut(stream: bytes, cuts: list[int]) -> None:
    whole, pieces = LineSplitter(), LineSplitter()
    expected = [*whole.feed(stream), *whole.close()]
    found: list[str] = []
    rest = stream
    for cut in cuts:
        found += pieces.feed(rest[:cut])
        rest = rest[cut:]
    found += [*pieces.feed(rest), *pieces.close()]
    assert found == expected


def test_of_a_line_that_is_too_long_the_rest_is_dropped_and_the_next_is_whole() -> None:
    splitter = LineSplitter(limit=10)
    assert list(splitter.feed(b"x" * 25)) == []
    assert list(splitter.feed(b"x" * 25 + b"\nnext\n")) == ["x" * 10, "next"]


def test_terminal_escapes_and_carriage_returns_are_removed() -> None:
    assert without_escapes("\x1b[2Ksignal \x1b[1;31mred\x1b[0m\r") == "signal red"


def test_a_broken_byte_does_not_lose_the_line() -> None:
    assert list(LineSplitter().feed(b"caf\xe9 failed\n")) == ["caf\ufffd failed"]


def test_a_log_keeps_its_head_and_its_tail_and_counts_the_rest() -> None:
    log = HeadTail(head_lines=2, tail_lines=3)
    for number in range(100):
        log.add(f"line {number}")
    assert log.head == ("line 0", "line 1")
    assert log.tail == ("line 97", "line 98", "line 99")
    assert log.left_out == 95
    assert log.lines_seen == 100


def test_a_log_line_is_cut_to_a_readable_length() -> None:
    log = HeadTail()
    log.add("x" * 1_000_000)
    assert len(log.text()) == LOG_LINE_CHARACTERS + 1

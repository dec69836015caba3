"""What list commands print: values as people read them."""

from __future__ import annotations

import pytest

from lastgood.cli.tables import show, text


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("2026-11-20T15:18:48.577835Z", "2026-11-20T15:18:48Z"),
        ("2026-11-20T15:18:48Z", "2026-11-20T15:18:48Z"),
        ("at 2026-11-20T15:18:48.577835Z", "at 2026-11-20T15:18:48.577835Z"),
        (1234.5678, "1,234.6"),
        (0.0029, "0.0"),
        (3, "3"),
        ("a\x1b[2Jb", "a\ufffd[2Jb"),
        (None, "-"),
    ],
)
def test_a_moment_has_whole_seconds_and_a_number_one_place(value: object, read: str) -> None:
    assert text(value) == read


def test_a_name_that_looks_like_markup_behind_a_backslash_is_printed_as_it_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    names = [r"x\[/x]", r"\[bold]loud", "[red]", ":smile:"]
    show([{"name": name} for name in names], [("NAME", "name")], as_json=False, nothing="none")
    assert [line.strip() for line in capsys.readouterr().out.splitlines()] == ["NAME", *names]

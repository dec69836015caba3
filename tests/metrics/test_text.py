"""The writer: escapes, numbers and bounds, with any names and values that may come."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lastgood.metrics.entities import HUB
from lastgood.metrics.family import Entity, Family, Histogram, Type
from lastgood.metrics.text import Format, Section, bound_text, chunks, escaped, number
from tests.metrics.expectation import key, parsed, repaired

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=40)
"""Every code point, lone surrogates and controls included."""

VALUES = st.one_of(st.integers(-(2**70), 2**70), st.floats(), st.booleans(), st.none())
ROWS: Entity[Any] = Entity("row", lambda moment: range(len(moment)))


def page(families: Sequence[Family[Any]], moment: Any, format_: Format) -> bytes:
    return b"".join(chunks([Section(families, moment)], format_))


def same(told: float, value: float) -> bool:
    return math.isnan(told) if math.isnan(value) else told == float(value)


@pytest.mark.parametrize("format_", Format)
@given(rows=st.lists(st.tuples(ANY_TEXT, ANY_TEXT, VALUES), max_size=5))
def test_any_names_and_values_come_back_from_the_parsers(
    format_: Format, rows: list[tuple[str, str, float | None]]
) -> None:
    family: Family[Any] = Family(
        name="x",
        help='A "help" with a \\ in it.',
        entity=ROWS,
        label_names=("row", "one", "two"),
        labels=lambda moment, i: (str(i), moment[i][0], moment[i][1]),
        value=lambda moment, i: moment[i][2],
    )
    found = parsed(page([family], rows, format_), format_)
    known = {
        key("x", {"row": str(i), "one": repaired(one), "two": repaired(two)}): value
        for i, (one, two, value) in enumerate(rows)
        if value is not None
    }
    assert found.keys() == known.keys()
    assert all(same(found[series], value) for series, value in known.items())


@pytest.mark.parametrize("format_", Format)
@given(
    counts=st.lists(st.integers(0, 2**40), min_size=4, max_size=4),
    total=st.floats(0, 1e300),
    label=ANY_TEXT,
    labelled=st.booleans(),
)
def test_a_histogram_keeps_its_rules_whatever_it_counted(
    format_: Format, counts: list[int], total: float, label: str, labelled: bool
) -> None:
    family: Family[Any] = Family(
        name="h",
        help="A help.",
        type=Type.HISTOGRAM,
        bounds=(0.0005, 1, 2.5),
        entity=HUB,
        label_names=("a",) if labelled else (),
        labels=(lambda _moment, _id: (label,)) if labelled else None,
        value=lambda _moment, _id: Histogram(counts, total),
    )
    found = parsed(page([family], None, format_), format_)
    assert len(found) == 6
    assert max(found[series] for series in found if series[0] == "h_bucket") == sum(counts)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("plain", "plain"),
        ('a "b" \\ c', 'a \\"b\\" \\\\ c'),
        ("\\n", "\\\\n"),
        ("a\nb\tc", "a\\nb\tc"),
        ("\x00\x07\r\x1f", "\ufffd" * 4),
        ("caf\udce9 \ud800", "caf\ufffd \ufffd"),
        ("\x7f é 漢 \N{PILE OF POO}", "\x7f é 漢 \N{PILE OF POO}"),
    ],
)
def test_a_label_value_is_escaped_as_both_formats_read_it(text: str, written: str) -> None:
    assert escaped(text) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0, "0"),
        (True, "1"),
        (False, "0"),
        (2**63, "9223372036854775808"),
        (1.0, "1"),
        (-0.5, "-0.5"),
        (0.1, "0.1"),
        (1e15, "1000000000000000.0"),
        (1e22, "1e+22"),
        (1e-5, "1e-05"),
        (math.inf, "+Inf"),
        (-math.inf, "-Inf"),
        (math.nan, "NaN"),
    ],
)
def test_a_number_is_written_as_short_as_it_reads_back(value: float, written: str) -> None:
    assert number(value) == written


@pytest.mark.parametrize(
    ("bound", "text", "openmetrics"),
    [
        (1, "1", "1.0"),
        (0.5, "0.5", "0.5"),
        (86400, "86400", "86400.0"),
        (86400.0, "86400", "86400.0"),
        (-1, "-1", "-1.0"),
        (math.inf, "+Inf", "+Inf"),
    ],
)
def test_a_bound_has_one_spelling_a_format(bound: float, text: str, openmetrics: str) -> None:
    assert bound_text(bound, Format.TEXT) == text
    assert bound_text(bound, Format.OPENMETRICS) == openmetrics


def test_help_is_escaped_as_each_format_wants_it() -> None:
    family: Family[Any] = Family(name="x", help='a "b" \\ c', entity=HUB, value=lambda _moment, _id: 1)
    assert page([family], None, Format.TEXT).startswith(b'# HELP x a "b" \\\\ c\n')
    assert page([family], None, Format.OPENMETRICS).startswith(b'# HELP x a \\"b\\" \\\\ c\n')


def test_a_histogram_that_nobody_knows_has_no_rows() -> None:
    family: Family[Any] = Family(
        name="x", help="A help.", type=Type.HISTOGRAM, bounds=(1,), entity=HUB, value=lambda _moment, _id: None
    )
    assert page([family], None, Format.TEXT) == b"# HELP x A help.\n# TYPE x histogram\n"


def test_a_family_whose_rows_are_all_unknown_keeps_its_head() -> None:
    family: Family[Any] = Family(name="x", help="A help.", entity=HUB, value=lambda _moment, _id: None)
    assert page([family], None, Format.TEXT) == b"# HELP x A help.\n# TYPE x gauge\n"

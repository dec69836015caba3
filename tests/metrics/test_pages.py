"""Whole pages: kept as golden files, read by the strict parsers, compared sample by sample with the model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lastgood.fleet.fleet import FleetView
from lastgood.metrics import VOCABULARIES
from lastgood.metrics.own_facts import OwnFacts
from lastgood.metrics.text import Format, chunks
from lastgood.metrics.vocabulary import sections
from tests.metrics.expectation import expected, parsed
from tests.metrics.fleets import NEWBORN, OWN, awkward, empty, twelve_hosts

GOLDEN = Path(__file__).parent.parent / "golden"
SUFFIX = {Format.TEXT: "txt", Format.OPENMETRICS: "openmetrics.txt"}
PAGES = {
    "empty-fleet": (empty, NEWBORN),
    "twelve-hosts": (twelve_hosts, OWN),
    "awkward-names": (awkward, OWN),
}

each_page = pytest.mark.parametrize("page", PAGES)
each_format = pytest.mark.parametrize("format_", Format, ids=lambda format_: format_.name.lower())


def body(view: FleetView, facts: OwnFacts, format_: Format) -> bytes:
    return b"".join(chunks(sections(VOCABULARIES, view, facts), format_))


def made(page: str, format_: Format) -> tuple[bytes, FleetView, OwnFacts]:
    fleet: Callable[[], FleetView]
    fleet, facts = PAGES[page]
    view = fleet()
    return body(view, facts, format_), view, facts


@each_page
@each_format
def test_a_page_is_what_its_golden_file_says(page: str, format_: Format, refresh_golden: bool) -> None:
    file = GOLDEN / f"{page}.{SUFFIX[format_]}"
    text, _, _ = made(page, format_)
    if refresh_golden:
        file.write_bytes(text)
    assert text.decode().split("\n") == file.read_bytes().decode().split("\n")


@each_page
@each_format
def test_every_sample_says_what_the_model_holds_and_none_is_missing(page: str, format_: Format) -> None:
    text, view, facts = made(page, format_)
    assert parsed(text, format_) == expected(view, facts)


@each_page
def test_sample_lines_are_the_same_bytes_in_both_formats_but_for_bucket_bounds(page: str) -> None:
    lines = [
        [line for line in made(page, format_)[0].split(b"\n") if line and not line.startswith(b"#")]
        for format_ in Format
    ]
    assert [line for line in lines[0] if b"le=" not in line] == [line for line in lines[1] if b"le=" not in line]


@each_format
def test_families_come_in_the_order_of_their_names(format_: Format) -> None:
    text, _, _ = made("twelve-hosts", format_)
    names = [line.split()[2] for line in text.decode().splitlines() if line.startswith("# TYPE")]
    assert names == sorted(names)
    always = [family for v in VOCABULARIES for family in (*v.fleet, *v.own, *v.fixed)]
    assert len(names) == len(always), "those of collectors need a picture"


def test_openmetrics_ends_in_eof_and_names_counters_without_total() -> None:
    text = made("twelve-hosts", Format.OPENMETRICS)[0]
    assert text.endswith(b"\n# EOF\n")
    assert b"# TYPE backup_good_runs counter\n" in text
    assert b"\nbackup_good_runs_total{" in text


def test_each_format_keeps_its_own_spelling_of_bucket_bounds() -> None:
    bounds = {}
    for format_ in Format:
        lines = made("empty-fleet", format_)[0].decode().splitlines()
        rows = [line for line in lines if 'bucket{kind="backup",status="failed"' in line]
        bounds[format_] = [line.split('le="')[1].split('"')[0] for line in rows]
    assert bounds[Format.TEXT] == ["1", "5", "30", "60", "300", "1800", "3600", "21600", "86400", "+Inf"]
    assert bounds[Format.OPENMETRICS] == [
        *("1.0", "5.0", "30.0", "60.0", "300.0", "1800.0", "3600.0", "21600.0", "86400.0"),
        "+Inf",
    ]


def test_no_histogram_is_missing_from_the_first_page() -> None:
    text = made("empty-fleet", Format.TEXT)[0].decode()
    assert text.count("\nrm_job_duration_seconds_bucket{") == 270
    assert text.count("\nrm_job_duration_seconds_sum{") == text.count("\nrm_job_duration_seconds_count{") == 27


def test_a_page_comes_in_pieces_of_bounded_size() -> None:
    from tests.builders import a_fleet

    pieces = list(chunks(sections(VOCABULARIES, a_fleet(3000).view(), OWN), Format.TEXT))
    assert sum(map(len, pieces)) > 5_000_000
    assert max(map(len, pieces)) < 400_000

"""What scrapers, browsers and people really send, and what they get."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lastgood.metrics.negotiate import asked_page, body_format, takes_gzip
from lastgood.metrics.text import Format

OM, PROTO = "application/openmetrics-text", "application/vnd.google.protobuf"
PROTOBUF = f"{PROTO};proto=io.prometheus.client.MetricFamily;encoding=delimited"

# As the releases build them: weights fall from the first to the last.
PROMETHEUS_2_42 = f"{OM};version=1.0.0,{OM};version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
PROMETHEUS_2_42_NATIVE = (
    f"{PROTOBUF},{OM};version=1.0.0;q=0.8,{OM};version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_2_49 = f"{OM};version=1.0.0;q=0.5,{OM};version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
UTF8 = "escaping=allow-utf-8"
PROMETHEUS_3_0 = (
    f"{OM};version=1.0.0;{UTF8};{UTF8};q=0.6,{OM};version=0.0.1;{UTF8};q=0.5,"
    f"text/plain;version=1.0.0;{UTF8};q=0.4,text/plain;version=0.0.4;{UTF8};q=0.3,*/*;q=0.2"
)
PROMETHEUS_3_5 = (
    f"{OM};version=1.0.0;{UTF8};q=0.6,{OM};version=0.0.1;q=0.5,"
    f"text/plain;version=1.0.0;escaping=underscores;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
PROMETHEUS_PROTO_FIRST = (
    f"{PROTOBUF};q=0.6,{OM};version=1.0.0;{UTF8};q=0.5,{OM};version=0.0.1;q=0.4,"
    f"text/plain;version=1.0.0;{UTF8};q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)
TEXT_FIRST = f"text/plain;version=0.0.4;q=0.6,{OM};version=1.0.0;q=0.5,*/*;q=0.2"
FIREFOX = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


@pytest.mark.parametrize(
    "accept",
    [
        PROMETHEUS_2_42,
        PROMETHEUS_2_42_NATIVE,
        PROMETHEUS_2_49,
        PROMETHEUS_3_0,
        PROMETHEUS_3_5,
        PROMETHEUS_PROTO_FIRST,
        OM,
        f"{OM};version=0.0.1",
        f"{OM}; version=1.0.0; charset=utf-8",
        f'{OM};version="1.0.0"',
        "APPLICATION/OpenMetrics-Text;Version=1.0.0;Q=0.3, */*;q=0.1",
        f"{OM};version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
        f"text/plain;version=0.0.4,{OM};version=1.0.0",
        f"{OM};version=2.0.0,{OM};version=1.0.0;q=0.9,text/plain;version=0.0.4;q=0.5",
        f"text/plain;q=0,{OM}",
        "text/plain;q=0,*/*",
        "application/*,text/plain;q=0.5",
        f'{OM};note="a, b; c";version=1.0.0,text/plain;q=0.5',
    ],
)
def test_whoever_likes_openmetrics_best_gets_it(accept: str) -> None:
    assert body_format(accept) is Format.OPENMETRICS


@pytest.mark.parametrize(
    "accept",
    [
        "",
        "*/*",
        "text/*",
        "text/plain",
        "text/plain;version=0.0.4",
        f"text/plain;version=1.0.0;{UTF8}",
        TEXT_FIRST,
        FIREFOX,
        PROTOBUF,
        "application/json",
        f"{OM};version=2.0.0",
        f"{OM};q=0,*/*",
        f"{OM};q=0",
        "text/plain;q=0",
        "*/*;q=0",
        f"{OM};q=0.5,text/plain",
        f"{OM};version=1.0.0;q=0,{OM};version=0.0.1",
        f"{OM};q=nan",
        f"{OM};q=2",
        f"{OM};q=much",
        ",;,=;q",
    ],
)
def test_everybody_else_gets_text(accept: str) -> None:
    assert body_format(accept) is Format.TEXT


@pytest.mark.parametrize(
    ("accept_encoding", "gzip"),
    [
        ("gzip", True),
        ("gzip, deflate, br, zstd", True),
        ("x-gzip", True),
        ("*", True),
        ("GZIP;q=0.5", True),
        ("gzip;q=1.0, identity; q=0.5, *;q=0", True),
        ("", False),
        ("identity", False),
        ("deflate, br", False),
        ("gzip;q=0", False),
        ("gzip;q=0, *", False),
        ("gzip;q=0.5, identity", False),
        ("gzip;q=x", False),
    ],
)
def test_gzip_goes_to_whoever_welcomes_it(accept_encoding: str, gzip: bool) -> None:
    assert takes_gzip(accept_encoding) is gzip


KNOWN = ("rm", "backup", "own")


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", KNOWN),
        ("other=1", KNOWN),
        ("vocabulary=rm", ("rm",)),
        ("vocabulary=own&vocabulary=rm", ("rm", "own")),
        ("vocabulary=rm&vocabulary=rm&x=y", ("rm",)),
    ],
)
def test_a_query_limits_the_page_in_our_order(query: str, names: tuple[str, ...]) -> None:
    asked = asked_page(query, KNOWN)
    assert (asked.names, asked.fault) == (names, None)


@pytest.mark.parametrize("query", ["vocabulary=", "vocabulary=RM", "vocabulary=rm&vocabulary=x", "vocabulary=%00%ff"])
def test_an_unknown_vocabulary_is_refused_with_those_that_are_known(query: str) -> None:
    asked = asked_page(query, KNOWN)
    assert asked.names == ()
    assert asked.fault is not None
    assert asked.fault.endswith("known are rm, backup, own.")


def test_a_query_of_very_many_fields_is_refused() -> None:
    assert asked_page("&".join(["vocabulary=rm"] * 101), KNOWN).fault == "The query has more than 100 fields."


@given(header=st.text(st.characters(max_codepoint=255)))
def test_no_header_and_no_query_breaks_the_choice(header: str) -> None:
    assert body_format(header) in Format
    assert takes_gzip(header) in (True, False)
    asked = asked_page(header, KNOWN)
    assert (asked.fault is None) == bool(asked.names)

"""What was encoded decodes to an equal value, or was refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest
from hypothesis import given

from lastgood.model.fact import Fact
from lastgood.model.host import Host
from lastgood.model.job import Run
from lastgood.model.source import Evidence, Source
from lastgood.store.codec import decoder, encode
from tests.builders import a_host, a_run, a_source, some_evidence
from tests.facts import any_fact, objects_of


@given(any_fact())
def test_every_fact_comes_back_as_it_was(told: Fact) -> None:
    assert decoder(type(told))(encode(told)) == told


@given(objects_of(Evidence))
def test_evidence_comes_back_as_it_was(evidence: Evidence) -> None:
    assert decoder(Evidence)(encode(evidence)) == evidence


def test_what_equals_its_default_takes_no_room() -> None:
    text = encode(some_evidence())
    assert "last_attempt" not in text
    assert "null" not in text


def test_a_file_name_that_is_no_utf_8_survives() -> None:
    source = a_source(paths=("/srv/caf\udce9", "/srv/😀"))
    assert decoder(Source)(encode(source)) == source


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_json_has_no_word_for_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="duration_seconds"):
        encode(replace(a_run(), duration_seconds=seconds))


def test_text_of_another_shape_is_refused() -> None:
    for text in ("", "{}", '{"id": 3}', '{"id": "\\ud800"', encode(a_host())):
        with pytest.raises(msgspec.DecodeError):
            decoder(Run)(text)


def test_a_field_that_was_added_later_has_its_default() -> None:
    text = encode(a_host())
    assert "info" not in text
    assert decoder(Host)(text).info is None


def test_durations_keep_their_microseconds() -> None:
    source = a_source(target=timedelta(days=400, microseconds=1), grace=timedelta(seconds=-1))
    assert decoder(Source)(encode(source)) == source

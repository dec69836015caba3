"""Releases compare with their last part, and what cannot be read has less rather than more."""

from __future__ import annotations

import pytest

from lastgood.tools.pbs.versions import Build, Gate


@pytest.mark.parametrize(
    ("version", "release", "has"),
    [("3.2", "4", False), ("3.2", "12", False), ("3.2", "13", True), ("3.3", "0", True), ("4.1", "8", True)],
)
def test_push_jobs_are_asked_for_from_the_build_that_knows_them(version: str, release: str, has: bool) -> None:
    assert Build.told(version, release).has(Gate.SYNC_DIRECTION) is has


def test_a_release_of_two_digits_is_newer_than_one_of_one() -> None:
    assert Build.told("4.0", "9") < Build.told("4.0", "17") < Build.told("4.1", "1") < Build.told("10.0", "0")


def test_groups_are_cheap_between_two_builds_of_one_minor_version() -> None:
    assert not Build.told("4.0", "16").has(Gate.CHEAP_GROUPS)
    assert Build.told("4.0", "17").has(Gate.CHEAP_GROUPS)


@pytest.mark.parametrize(("version", "release"), [("", ""), ("beta", "x"), ("-1.2", "-3"), ("²", "٣x")])
def test_an_unreadable_release_has_nothing(version: str, release: str) -> None:
    build = Build.told(version, release)
    assert not any(build.has(gate) for gate in Gate)


def test_extra_words_in_a_release_do_not_hide_its_number() -> None:
    assert str(Build.told("4.2", "3-1~beta")) == "4.2.3"

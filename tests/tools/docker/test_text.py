"""Texts of stacks: what is refused before compose sees it, and what no log may show."""

from __future__ import annotations

import time

import pytest

from lastgood.errors import ConfigError
from lastgood.tools.docker.text import (
    MOST_ALIASES,
    MOST_DEPTH,
    MOST_ENV,
    MOST_ENV_LINES,
    MOST_NODES,
    MOST_TEXT,
    check_project,
    check_text,
    secrets_of,
)
from lastgood.tools.restic.redact import Redactor

GOOD = "services:\n  web:\n    image: lg/web:1\n"


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        "version: '2.4'\n" + GOOD,
        "x-common: &c {restart: always}\nservices:\n  web:\n    <<: *c\n    image: a\n",
        "services:\n  web:\n    image: a\n    ports: !override ['80:80']\n    environment: !reset null\n",
        "services:\n  web: {image: a, command: 'größer'}\n",
    ],
)
def test_what_compose_reads_is_left_to_compose(text: str) -> None:
    check_text(text, None)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "names no services"),
        ("services:\n", "names no services"),
        ("services: web\n", "names no services"),
        ("version: '3'\n", "names no services"),
        ("services:\n  web: [\n", "not valid YAML at line 3"),
        ("services:\n\tweb: a\n", "not valid YAML at line 2"),
        ("a: *nothing\n", "not valid YAML at line 1"),
        (GOOD + "---\n" + GOOD, "not valid YAML"),
        (GOOD + "a: \x07\n", "control character in line 4"),
        (GOOD + "a: \ud800\n", "control character in line 4"),
        (GOOD + "#" * MOST_TEXT, "larger than 256 KiB"),
        (GOOD + "x: " + "[" * (MOST_DEPTH + 2), "nested deeper than"),
        (GOOD + "x: " + "[" * 100_000, "nested deeper than"),
        (GOOD + "x: [" + "1," * MOST_NODES + "]\n", "more than 20000 values"),
        (GOOD + "x: &a 1\ny: [" + "*a," * (MOST_ALIASES + 1) + "]\n", "1000 aliases"),
    ],
)
def test_what_is_no_stack_is_refused_by_place_and_not_by_its_words(text: str, sentence: str) -> None:
    began = time.monotonic()
    with pytest.raises(ConfigError) as refused:
        check_text(text, None)
    assert sentence in str(refused.value)
    assert time.monotonic() - began < 5


def test_a_laugh_of_a_billion_aliases_costs_nothing() -> None:
    lines = ["a0: &a0 [lol, lol]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 20)]
    check_text(GOOD + "\n".join(lines) + "\n", None)
    assert secrets_of(GOOD + "\n".join(lines) + "\n", None) == []


def test_no_refusal_repeats_what_stands_in_the_text() -> None:
    for text, env in (
        ("services:\n  web: hunter-two: [\n", None),
        ("hunter-two: &hunter-two\n *hunter-three\n", None),
        (GOOD, "hunter-two\n"),
        (GOOD, "hunter two=three\n"),
    ):
        with pytest.raises(ConfigError) as refused:
            check_text(text, env)
        assert "hunter" not in str(refused.value)


@pytest.mark.parametrize(
    "env", ["", "# nothing\n\n", "A=b\nexport B_2='c d'\n", 'A="one\ntwo"\nB=c\n', "A=\n", "a.b-c=1"]
)
def test_an_env_file_is_names_and_values(env: str) -> None:
    check_text(GOOD, env)


@pytest.mark.parametrize(
    ("env", "sentence"),
    [
        ("A=b\nnonsense\n", "Line 2 of the .env file"),
        ("1A=b\n", "Line 1"),
        ("A b=c\n", "Line 1"),
        ("A=\x00\n", "control character"),
        ("A=" + "b" * MOST_ENV, "larger than 64 KiB"),
        ("A=b\n" * (MOST_ENV_LINES + 1), "more than 1000 lines"),
    ],
)
def test_what_is_no_env_file_is_refused_by_its_line(env: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check_text(GOOD, env)
    assert sentence in str(refused.value)


def test_every_value_of_an_env_file_is_masked_as_written_and_as_meant() -> None:
    env = "A=plain-value\nB='quoted value'\nC=\"two\nlines here\"\nD=before # a remark\nexport E=exported\nF=\nG=7\n"
    redact = Redactor(secrets_of(GOOD, env))
    for word in ("plain-value", "quoted value", "lines here", "exported"):
        assert word not in redact(f"it says {word} twice: {word}")
    assert redact("port 7 of 777") == "port *** of 777"
    assert redact("what was before it") == "what was *** it"


@pytest.mark.parametrize(
    "environment",
    [
        "{DB_PASSWORD: hunter-two, LANG: en_GB}",
        "[DB_PASSWORD=hunter-two, LANG=en_GB]",
    ],
)
def test_values_of_the_text_are_masked_where_their_names_say_that_they_are_secret(environment: str) -> None:
    found = secrets_of(f"services:\n  web:\n    image: a\n    environment: {environment}\n", None)
    assert found == ["hunter-two"]


def test_values_of_the_text_are_masked_wherever_they_stand() -> None:
    written = """
x-common: &common
  DB_PASSWORD: of-an-anchor
x-base: &base
  environment: [SMTP_PASSWORD=of-a-base]
services:
  web:
    <<: *base
    image: a
    build: {args: {NPM_TOKEN: of-a-build}}
    labels: ["app.secret=of-a-label"]
  db:
    image: a
    environment: {<<: *common, API_TOKEN: of-the-db}
  db2:
    image: a
    environment: {<<: *common, API_TOKEN: of-another, LANG: en_GB}
"""
    check_text(written, None)
    found = secrets_of(written, None)
    assert sorted(found) == [
        *("of-a-base", "of-a-build", "of-a-label", "of-an-anchor", "of-another", "of-the-db"),
    ]


@pytest.mark.parametrize("brackets", ["[" * 100_000, "[" * 100_000 + "]" * 100_000, "{a: " * 50_000])
def test_a_text_that_somebody_nested_without_end_on_the_host_ends_no_agent(brackets: str) -> None:
    assert secrets_of(f"services: {brackets}", "A=b-value\n") == ["b-value"]


@pytest.mark.parametrize("text", ["", "services: [", "services: {web: 3}", "- a"])
def test_a_text_that_cannot_be_read_has_the_secrets_of_its_env_file_alone(text: str) -> None:
    assert secrets_of(text, "A=b-value\n") == ["b-value"]


def test_the_name_of_a_stack_is_checked_with_the_rule_in_words() -> None:
    check_project("shop-2_x")
    with pytest.raises(ConfigError, match="small letters, digits"):
        check_project("../Shop")

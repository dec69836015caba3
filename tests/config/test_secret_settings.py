"""Secrets: by value, by file, and never shown."""

from __future__ import annotations

import errno
import pickle

import pytest

from lastgood.config.registry import SETTINGS
from lastgood.secret import Secret
from tests.config.reading import TOML, YAML, loaded, refusal


@pytest.mark.parametrize("name", ["LASTGOOD_METRICS__TOKEN_FILE", "RM_METRICS_TOKEN_FILE"])
@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_a_secret_is_read_from_its_file_without_the_line_break(name, ending):
    found = loaded({name: "/run/secrets/token"}, {"/run/secrets/token": "abc" + ending})
    assert found.settings.metrics.token.reveal() == "abc"
    assert found.origins["metrics.token"] == f"environment {name}"


@pytest.mark.parametrize("text", ['metrics_token_file = "/s"\n', '[metrics]\ntoken_file = "/s"\n'])
def test_a_settings_file_may_name_the_secrets_file_too(text):
    assert loaded(files={TOML: text, "/s": "abc\n"}).settings.metrics.token.reveal() == "abc"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (errno.ENOENT, "no such file"),
        (errno.EACCES, "permission denied"),
        (errno.EISDIR, "is a directory"),
        ("\n", "which is empty"),
        (b"\xff\xfe", "not UTF-8"),
    ],
)
def test_a_secrets_file_that_gives_nothing_stops_the_start(content, reason):
    sentence = refusal({"RM_METRICS_TOKEN_FILE": "/s"}, {"/s": content})
    assert "/s" in sentence and reason in sentence and "RM_METRICS_TOKEN_FILE" in sentence


@pytest.mark.parametrize("prefix", ["LASTGOOD_METRICS__TOKEN", "RM_METRICS_TOKEN"])
def test_a_secret_by_value_and_by_file_at_once_is_refused(prefix):
    sentence = refusal({prefix: "abc", f"{prefix}_FILE": "/s"}, {"/s": "abc"})
    assert sentence == f"{prefix} and {prefix}_FILE are both set; keep one of them."


def test_a_secret_by_value_and_by_file_in_one_document_is_refused():
    assert "both set" in refusal(files={TOML: '[metrics]\ntoken = "a"\ntoken_file = "/s"\n', "/s": "a"})


@pytest.mark.parametrize(
    "environ", [{"RM_METRICS_TOKEN": ""}, {"RM_METRICS_TOKEN": " "}, {"RM_METRICS_TOKEN_FILE": ""}]
)
def test_an_empty_secret_in_the_environment_is_refused(environ):
    assert "is empty" in refusal(environ)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (TOML, '[metrics]\ntoken = ""\n'),
        (YAML, "metrics:\n  token:\n"),
        (YAML, "metrics_token: ''\n"),
        (YAML, "metrics:\n  networks:\n"),
        (TOML, '[metrics]\nnetworks = ""\n'),
    ],
)
def test_an_empty_secret_or_fence_in_a_file_is_refused(path, text):
    assert "is empty" in refusal(files={path: text})


@pytest.mark.parametrize("text", ["", " ", ",", " , "])
def test_an_empty_list_of_networks_in_the_environment_is_refused(text):
    assert "RM_METRICS_TRUSTED_CIDR is empty" in refusal({"RM_METRICS_TRUSTED_CIDR": text})


def test_a_secret_written_as_a_number_must_be_quoted_and_is_not_told():
    sentence = refusal(files={YAML: "metrics_token: 12345\n"})
    assert sentence.endswith("must be a secret written as text, in quotes.")
    assert "12345" not in sentence


@pytest.mark.parametrize("token", ["two words", "tab\there", "ümlaut", "line\nbreak"])
def test_a_token_that_no_header_carries_safely_is_refused_and_not_told(token):
    sentence = refusal({"RM_METRICS_TOKEN": token})
    assert "metrics.token" in sentence and token not in sentence


@pytest.mark.parametrize(
    "document",
    [
        'metrics_token = "swordfish\n',
        "metrics_token = swordfish\n",
        '[metrics]\ntoken = "swordfish"\ntoken = "swordfish"\n',
        "metrics_token: *swordfish\n",
        "metrics_token: 'swordfish\n",
        "metrics_token: swordfish: 1\n",
        "metrics_token: !swordfish x\n",
        "metrics_token: swordfish\nmetrics_token: swordfish\n",
        "metrics_token: swordfish\x07\n",
        "swordfish\n",
    ],
)
def test_a_broken_document_is_refused_without_repeating_what_stands_in_it(document):
    path = TOML if "=" in document else YAML
    sentence = refusal(files={path: document})
    assert sentence.startswith(path) and "swordfish" not in sentence


def test_settings_can_be_printed_without_telling_a_secret():
    settings = loaded({"RM_METRICS_TOKEN": "swordfish"}).settings
    assert "swordfish" not in repr(settings) + str(settings) + f"{settings.metrics.token}"


def test_a_secret_shows_itself_only_when_asked():
    secret = Secret("swordfish")
    assert (str(secret), repr(secret), f"{secret}", "%s" % secret) == (  # noqa: UP031 - that way too
        "********",
        "Secret('********')",
        "********",
        "********",
    )
    assert secret.reveal() == "swordfish"
    assert secret == Secret("swordfish") and hash(secret) == hash(Secret("swordfish"))
    assert secret != Secret("other") and secret != "swordfish"
    assert not Secret("")
    with pytest.raises(TypeError):
        pickle.dumps(secret)


def test_exactly_the_settings_that_hold_credentials_are_secrets():
    assert {each.name for each in SETTINGS if each.secret} == {"metrics.token", "audit.head_url", "hub.heartbeat_url"}

"""What values may be, and what they may not say together."""

from __future__ import annotations

import pytest

from lastgood.config.settings import Settings
from lastgood.config.values import Url, network
from tests.config.reading import TOML, YAML, loaded, refusal


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("10.0.0.0/8", "10.0.0.0/8"),
        (" 10.0.0.7 ", "10.0.0.7/32"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("fd00::/8", "fd00::/8"),
        ("::1", "::1/128"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::ffff:10.0.0.7", "10.0.0.7/32"),
    ],
)
def test_a_network_is_read(written, meant):
    assert str(network(written)) == meant


@pytest.mark.parametrize(
    ("written", "mend"),
    [
        ("10.0.0.5/8", "write 10.0.0.0/8"),
        ("192.168.1.1/24", "write 192.168.1.0/24"),
        ("fd00::1/8", "write fd00::/8"),
        ("::ffff:10.0.0.1/104", "write 10.0.0.0/8"),
    ],
)
def test_a_network_with_host_bits_is_refused_with_the_right_one(written, mend):
    sentence = refusal({"RM_METRICS_TRUSTED_CIDR": f"127.0.0.1,{written}"})
    assert f"holds {written}, which has host bits set" in sentence and mend in sentence


@pytest.mark.parametrize("written", ["10.0.0.0/33", "10.0.0", "example.org", "10.0.0.0/8/8", "10.0.0.0-10.0.0.9"])
def test_what_is_no_network_is_refused(written):
    assert "which is not a network" in refusal({"RM_TRUSTED_PROXY": written})


def test_a_list_in_a_file_may_be_a_list_or_text_with_commas_but_no_number():
    assert len(loaded(files={YAML: "metrics_trusted_cidrs: 10.0.0.0/8, 127.0.0.1,\n"}).settings.metrics.networks) == 2
    assert "is not a network" not in refusal(files={TOML: "metrics_trusted_cidrs = 10\n"})
    assert "holds 10," in refusal(files={TOML: "metrics_trusted_cidrs = [10]\n"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[retention]\nruns_days = 0\n", "must be a whole number of 1 or more, not 0."),
        ("[retention]\nruns_days = 1.5\n", "must be a whole number of 1 or more, not 1.5."),
        ('[retention]\nruns_days = "7"\n', "must be a whole number of 1 or more, not '7'."),
        ('[metrics]\nauth = "false"\n', "must be true or false without quotes, not 'false'."),
        ("[log]\nlevel = 3\n", "must be one of debug, info, warning, error, not 3."),
        ("[server]\ndata_dir = 3\n", "must be a path written as text, in quotes."),
        ('[server]\ndata_dir = "a\\u0000b"\n', "is not a path."),
        ("[metrics]\ntoken_file = 3\n", "must be the path of a file."),
        ('[server]\ndata_dir = ""\n', "is empty: leave the name out, or give it a value."),
    ],
)
def test_a_value_of_the_wrong_kind_in_a_file_is_refused(text, expected):
    assert refusal(files={TOML: text}).endswith(expected)


@pytest.mark.parametrize("text", ["maybe", "truth", "2"])
def test_a_flag_that_is_neither_is_refused(text):
    assert "must be true or false, not" in refusal({"LASTGOOD_METRICS__AUTH": text})


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("https://backup.example.org/", "https://backup.example.org"),
        ("http://10.0.0.1:8080", "http://10.0.0.1:8080"),
        ("HTTPS://[2001:DB8::1]:8443", "https://[2001:db8::1]:8443"),
    ],
)
def test_the_outside_address_is_read(written, meant):
    assert loaded({"RM_BASE_URL": written}).settings.server.base_url == meant


@pytest.mark.parametrize(
    "written",
    [
        "backup.example.org",
        "ftp://a",
        "https://",
        "https://u:swordfish@a",
        "https://a:99999",
        "https://a b",
        "https://a/x?y",
    ],
)
def test_an_outside_address_that_cannot_serve_is_refused(written):
    sentence = refusal({"RM_BASE_URL": written})
    assert "RM_BASE_URL (server.base_url) must" in sentence and "swordfish" not in sentence


@pytest.mark.parametrize(
    ("document", "path"),
    [("- a\n", YAML), ("just text\n", YAML)],
)
def test_a_document_without_sections_is_refused(document, path):
    assert "does not hold sections" in refusal(files={path: document})


def test_a_document_of_another_kind_or_encoding_is_refused():
    assert "neither TOML nor YAML" in refusal(files={"/a.json": "{}"}, config="/a.json")
    assert "not UTF-8" in refusal(files={TOML: b"\xff"})


def test_comments_only_and_a_byte_order_mark_are_an_empty_document():
    assert loaded(files={YAML: "\ufeff# nothing yet\nserver:\n"}).settings == Settings()


def test_yaml_merge_keys_are_no_doubled_keys():
    text = "retention:\n  <<: {runs_days: 1, alerts_days: 1}\n  runs_days: 2\n"
    retention = loaded(files={YAML: text}).settings.retention
    assert (retention.runs_days, retention.alerts_days) == (2, 1)


def test_a_key_written_twice_in_yaml_is_refused():
    assert "a key stands twice" in refusal(files={YAML: "metrics:\n  auth: true\nmetrics:\n  auth: false\n"})


def test_auth_off_together_with_a_token_is_refused_wherever_they_stand():
    sentence = refusal({"RM_METRICS_TOKEN": "abc", "DOCKMESH_METRICS_AUTH": "false"})
    assert "RM_METRICS_TOKEN" in sentence and "DOCKMESH_METRICS_AUTH" in sentence


def test_auth_off_alone_is_public_and_warned_of():
    found = loaded({"LASTGOOD_METRICS__AUTH": "false"})
    assert found.settings.metrics.public
    assert "public" in found.warnings[0]


def test_auth_off_behind_a_fence_is_not_public():
    found = loaded({"LASTGOOD_METRICS__AUTH": "false", "RM_METRICS_TRUSTED_CIDR": "10.0.0.0/8"})
    assert not found.settings.metrics.public
    assert found.warnings == []


def test_a_network_of_everything_is_warned_of():
    found = loaded({"RM_METRICS_TRUSTED_CIDR": "0.0.0.0/0", "RM_TRUSTED_PROXY": "::/0"})
    assert "metrics.networks (environment RM_METRICS_TRUSTED_CIDR) holds 0.0.0.0/0" in found.warnings[0]
    assert "everybody claim any address" in found.warnings[1]


@pytest.mark.parametrize("key", ["cert", "key"])
def test_half_of_tls_is_refused(key):
    assert "TLS needs both" in refusal({f"LASTGOOD_SERVER__TLS_{key.upper()}": "/p"})


@pytest.mark.parametrize(
    ("environ", "url", "secure"),
    [
        ({}, "http://127.0.0.1:8080", False),
        ({"RM_LISTEN": ":8080"}, "http://localhost:8080", False),
        ({"RM_LISTEN": "[::1]:80"}, "http://[::1]:80", False),
        ({"LASTGOOD_SERVER__TLS_CERT": "/c", "LASTGOOD_SERVER__TLS_KEY": "/k"}, "https://127.0.0.1:8080", True),
        ({"RM_BASE_URL": "https://b.example"}, "https://b.example", True),
        ({"RM_BASE_URL": "https://b.example", "RM_COOKIE_SECURE": "false"}, "https://b.example", False),
        ({"RM_COOKIE_SECURE": "true"}, "http://127.0.0.1:8080", True),
    ],
)
def test_the_outside_address_and_the_cookies_follow_from_the_settings(environ, url, secure):
    found = loaded(environ)
    assert found.settings.server.public_url == Url(url)
    assert found.settings.server.secure_cookies is secure
    assert bool(found.warnings) is ("RM_COOKIE_SECURE" in environ)


def test_files_are_kept_in_the_data_folder_unless_told_otherwise():
    assert str(loaded({"RM_DATA_DIR": "/d"}).settings.server.key_path) == "/d/secret.key"
    assert str(loaded({"RM_SECRET_KEY_FILE": "/k"}).settings.server.key_path) == "/k"

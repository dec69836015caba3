"""The stand-alone exporter reads the names, the file and the defaults of the program that it replaces."""

from __future__ import annotations

import pytest

from lastgood.config.exporter import load_exporter
from lastgood.errors import ConfigError
from tests.config.reading import Disk

ENV = {
    "PBS_EXPORTER__PBS__ENDPOINT": "https://pbs.example.com:8007",
    "PBS_EXPORTER__PBS__TOKEN_ID": "exporter@pam!metrics",
    "PBS_EXPORTER__PBS__TOKEN_SECRET": "your-secret",
}
FILE = """
[pbs]
endpoint = "https://pbs.example.com:8007"
token_id = "exporter@pam!metrics"
token_secret = "your-secret-token"
verify_tls = false
timeout_seconds = 7
snapshot_history_limit = 2

[exporter]
listen_address = "127.0.0.1:9200"
log_level = "debug"
"""


def read(environ=None, text=None):
    return load_exporter(
        environ or {}, "/c/default.toml" if text is not None else None, Disk({"/c/default.toml": text})
    )


def refusal(environ=None, text=None) -> str:
    with pytest.raises(ConfigError) as caught:
        read(environ, text)
    return str(caught.value)


def test_three_variables_are_enough_and_the_defaults_are_those_it_had():
    found = read(ENV)
    (server,) = found.servers.pbs
    assert (server.verify_tls, server.timeout_seconds, server.snapshot_history_limit) == (False, 5, 0)
    assert (str(found.listen), found.log_level) == ("0.0.0.0:9101", "info")
    assert any("verify_tls is false" in each for each in found.warnings)


def test_a_pin_and_what_else_it_has_not_stand_under_its_prefix_too():
    pin = "ab" * 32
    found = read(
        ENV
        | {
            "PBS_EXPORTER__PBS__FINGERPRINT": pin,
            "PBS_EXPORTER__PBS__CA_FILE": "/etc/pbs.pem",
            "PBS_EXPORTER__PBS__ARCHIVED": "vm/100",
            "PBS_EXPORTER__PBS__TARGETS": "vm/*=26h",
            "PBS_EXPORTER__PBS__EXPECTED_OFF": "true",
        }
    )
    (server,) = found.servers.pbs
    assert (server.fingerprint, str(server.ca_file), server.archived) == (pin, "/etc/pbs.pem", ("vm/100",))
    assert (dict(server.targets), server.expected_off) == ({"vm/*": 26 * 3600.0}, True)
    assert found.warnings == []


def test_its_file_is_read_unchanged():
    found = read(text=FILE)
    (server,) = found.servers.pbs
    assert (server.timeout_seconds, server.snapshot_history_limit, server.token_secret.reveal()) == (
        7,
        2,
        "your-secret-token",
    )
    assert (str(found.listen), found.log_level) == ("127.0.0.1:9200", "debug")


def test_the_environment_wins_over_the_file():
    found = read({"PBS_EXPORTER__PBS__VERIFY_TLS": "true", "PBS_EXPORTER__EXPORTER__LISTEN_ADDRESS": ":1"}, FILE)
    assert (found.servers.pbs[0].verify_tls, str(found.listen), found.warnings) == (True, ":1", [])


@pytest.mark.parametrize(
    ("text", "level"),
    [("debug", "debug"), ("warn", "warning"), ("pbs_exporter=trace,info", "info"), ("hyper=error", "error")],
)
def test_rust_log_is_the_log_level_and_wins(text, level):
    assert read({**ENV, "RUST_LOG": text, "PBS_EXPORTER__EXPORTER__LOG_LEVEL": "error"}).log_level == level


def test_a_rust_log_that_names_no_level_is_told_and_left():
    found = read({**ENV, "RUST_LOG": "loud"})
    assert found.log_level == "info"
    assert any("RUST_LOG" in each for each in found.warnings)


def test_names_with_one_underscore_work_and_are_warned_of():
    environ = {name.replace("__", "_"): text for name, text in ENV.items()}
    found = read({**environ, "PBS_EXPORTER_EXPORTER_LOG_LEVEL": "warn"})
    assert (found.servers.pbs[0].endpoint, found.log_level) == ("https://pbs.example.com:8007", "warning")
    assert sum("write it so" in each for each in found.warnings) == 4


def test_a_misspelt_name_is_warned_of_with_the_nearest_one():
    found = read({**ENV, "PBS_EXPORTER__PBS__VERIFY_TSL": "true"})
    assert any("did you mean PBS_EXPORTER__PBS__VERIFY_TLS?" in each for each in found.warnings)


def test_several_servers_and_who_may_scrape_may_stand_in_the_file():
    second = '[pbs.servers.two]\nendpoint = "https://two"\ntoken_id = "a@b!c"\ntoken_secret = "x"\n'
    found = read(text=FILE + second + '[metrics]\ntoken = "abc"\nnetworks = ["10.0.0.0/8"]\n')
    assert [server.name for server in found.servers.pbs] == ["", "two"]
    assert found.metrics.token is not None
    assert len(found.metrics.networks) == 1


@pytest.mark.parametrize(
    ("environ", "text", "said"),
    [
        ({}, None, "No server is configured"),
        ({"PBS_EXPORTER__PBS__ENDPOINT": "https://a"}, None, "lacks pbs.token_id"),
        ({}, FILE + "port = 3\n", "exporter.port"),
        ({}, FILE + "[exportr]\n", "did you mean exporter?"),
        ({}, FILE.replace("token_id", "token_ide"), "did you mean pbs.token_id?"),
        ({"PBS_EXPORTER__EXPORTER__LOG_LEVEL": "loud"}, FILE, "one of"),
    ],
)
def test_what_cannot_work_is_refused_in_a_sentence(environ, text, said):
    assert said in refusal(environ, text)


def test_a_file_that_is_not_there_is_named():
    with pytest.raises(ConfigError, match=r"/nowhere\.toml"):
        load_exporter({}, "/nowhere.toml", Disk())

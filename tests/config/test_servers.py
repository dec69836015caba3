"""Servers to collect from: the unnamed one and those with names, what is refused, and what is told."""

from __future__ import annotations

import pytest

from lastgood.config.load import render_check
from tests.config.reading import TOML, YAML, loaded, refusal

ENV = {
    "LASTGOOD_PBS__ENDPOINT": "https://pbs.example.org:8007",
    "LASTGOOD_PBS__TOKEN_ID": "lastgood@pbs!read",
    "LASTGOOD_PBS__TOKEN_SECRET": "s3cret",
}
ONE = 'endpoint = "https://pbs.example.org:8007"\ntoken_id = "lastgood@pbs!read"\ntoken_secret = "s3cret"\n'
TWO = f'[pbs]\n{ONE}[pbs.servers."bo.x-2"]\n{ONE.replace("pbs.example", "two.example")}expected_off = true\n'


def test_without_a_word_of_it_there_is_no_server():
    found = loaded()
    assert found.settings.servers.pbs == ()
    assert not [row for row in render_check(found) if row.name.startswith("pbs")]


def test_the_environment_reaches_the_unnamed_server():
    (server,) = loaded(ENV).settings.servers.pbs
    assert (server.name, server.endpoint, server.token_id) == ("", ENV["LASTGOOD_PBS__ENDPOINT"], "lastgood@pbs!read")
    assert (server.token_secret.reveal(), server.verify_tls, server.timeout_seconds) == ("s3cret", True, 5)


def test_a_file_may_name_several_servers_beside_the_unnamed_one():
    found = loaded(files={TOML: TWO})
    assert [(server.name, server.expected_off) for server in found.settings.servers.pbs] == [
        ("", False),
        ("bo.x-2", True),
    ]
    assert found.origins["pbs.servers.bo.x-2.expected_off"] == f"{TOML}: pbs.servers.bo.x-2.expected_off"


def test_yaml_says_the_same_as_toml():
    yaml = (
        "pbs:\n  servers:\n    a:\n      endpoint: https://a:8007\n      token_id: a@b!c\n      token_secret: x\n"
        "      targets:\n        'vm/*': 26h\n      archived: ['ct/9']\n"
    )
    (server,) = loaded(files={YAML: yaml}).settings.servers.pbs
    assert (server.name, dict(server.targets), server.archived) == ("a", {"vm/*": 93600.0}, ("ct/9",))


def test_the_environment_wins_over_the_file_key_by_key():
    (server,) = loaded({"LASTGOOD_PBS__TIMEOUT_SECONDS": "9"}, {TOML: f"[pbs]\n{ONE}"}).settings.servers.pbs
    assert (server.timeout_seconds, server.token_id) == (9, "lastgood@pbs!read")


@pytest.mark.parametrize("prefix", ["PBS_EXPORTER__PBS__", "LASTGOOD_PBS__"])
def test_the_names_of_pbs_exporter_reach_the_hub_as_well(prefix):
    (server,) = loaded(
        {name.replace("LASTGOOD_PBS__", prefix): text for name, text in ENV.items()}
    ).settings.servers.pbs
    assert server.endpoint == "https://pbs.example.org:8007"


def test_a_name_with_one_underscore_is_taken_with_a_warning():
    found = loaded({name.replace("LASTGOOD_PBS__", "PBS_EXPORTER_PBS_"): text for name, text in ENV.items()})
    assert found.settings.servers.pbs[0].token_secret.reveal() == "s3cret"
    assert any("PBS_EXPORTER_PBS_TOKEN_ID is read as PBS_EXPORTER__PBS__TOKEN_ID" in each for each in found.warnings)


def test_a_secret_may_stand_in_a_file_of_its_own():
    environ = {**ENV, "LASTGOOD_PBS__TOKEN_SECRET_FILE": "/run/s"}
    del environ["LASTGOOD_PBS__TOKEN_SECRET"]
    assert loaded(environ, {"/run/s": "deep\n"}).settings.servers.pbs[0].token_secret.reveal() == "deep"
    named = TWO.replace('token_secret = "s3cret"', 'token_secret_file = "/run/s"')
    servers = loaded(files={TOML: named, "/run/s": "deep\n"}).settings.servers.pbs
    assert [server.token_secret.reveal() for server in servers] == ["deep", "deep"]


def test_check_config_masks_the_secret_and_says_where_each_value_came_from():
    rows = {row.name: row for row in render_check(loaded(files={TOML: TWO}))}
    assert rows["pbs.token_secret"].value == rows["pbs.servers.bo.x-2.token_secret"].value == "********"
    assert rows["pbs.servers.bo.x-2.verify_tls"] == ("pbs.servers.bo.x-2.verify_tls", "true", "default")
    assert "s3cret" not in str(rows)


def test_lengths_of_time_are_written_as_people_write_them():
    environ = {**ENV, "LASTGOOD_PBS__TARGETS": "main/vm/*=26h, ct/*=1d12h,host/a=90min"}
    found = loaded(environ)
    assert dict(found.settings.servers.pbs[0].targets) == {"main/vm/*": 93600.0, "ct/*": 129600.0, "host/a": 5400.0}
    (row,) = (row for row in render_check(found) if row.name == "pbs.targets")
    assert row.value == "main/vm/*=26h, ct/*=36h, host/a=90min"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ENDPOINT": "http://pbs:8007"}, "in clear"),
        ({"ENDPOINT": "pbs:8007"}, "is not an address"),
        ({"ENDPOINT": "https://a:b@pbs:8007"}, "without user and password"),
        ({"ENDPOINT": "https://pbs:99999999"}, "is not an address"),
        ({"ENDPOINT": "https://pbs:8007/api2/json"}, "write https://pbs:8007"),
        ({"TOKEN_ID": "root@pam"}, "user@realm!name"),
        ({"TOKEN_SECRET": "a b"}, "copy the secret"),
        ({"FINGERPRINT": "ab:cd"}, "SHA-256"),
        ({"TIMEOUT_SECONDS": "0"}, "at most 300"),
        ({"TIMEOUT_SECONDS": "301"}, "at most 300"),
        ({"SNAPSHOT_HISTORY_LIMIT": "-1"}, "0 or more"),
        ({"TARGETS": "vm/*"}, "pattern"),
        ({"TARGETS": "vm/*=soon"}, "no length of time"),
        ({"TARGETS": "vm/*=0h"}, "more than nothing"),
        ({"TARGETS": "a=1h,a=2h"}, "twice"),
        ({"TOKEN": "x"}, "did you mean"),
    ],
)
def test_what_cannot_work_is_refused_in_a_sentence_that_does_not_tell_the_secret(change, said):
    sentence = refusal({**ENV, **{f"LASTGOOD_PBS__{key}": value for key, value in change.items()}})
    assert said in sentence
    assert "s3cret" not in sentence


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[pbs]\nendpoint = 'https://a'\n", "lacks pbs.token_id and pbs.token_secret"),
        (f"[pbs]\n{ONE}verify = true\n", "did you mean pbs.verify_tls?"),
        (f"[pbs.servers.a]\n{ONE}verify_tsl = true\n", "did you mean pbs.servers.a.verify_tls?"),
        (f"[pbs.server.a]\n{ONE}", "'pbs.server' is not a setting"),
        ("pbs = 3\n", "pbs is a section"),
        ("[pbs]\nservers = 3\n", "pbs.servers is a section"),
        ("[pbs.servers]\na = 3\n", "pbs.servers.a is a section"),
        (f"[pbs.servers.'../etc']\n{ONE}", "is no name of a server"),
        (f"[pbs]\n{ONE}[pbs.servers.a]\n{ONE}", "[pbs] and [pbs.servers.a] are both at"),
        (f"[pbs.servers.a]\n{ONE}[pbs.servers.A]\n{ONE.replace('pbs.', 'x.')}", "are both called A"),
        ("[pbss]\n", "did you mean pbs?"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused(text, said):
    assert said.replace("'pbs.server'", "pbs.server") in refusal(files={TOML: text})


def test_accepting_any_certificate_is_warned_of_unless_a_pin_or_a_ca_wins_over_it():
    lax = {**ENV, "LASTGOOD_PBS__VERIFY_TLS": "false"}
    assert any("pbs.verify_tls is false" in each for each in loaded(lax).warnings)
    assert not loaded({**lax, "LASTGOOD_PBS__FINGERPRINT": ":".join(["ab"] * 32)}).warnings
    assert not loaded({**lax, "LASTGOOD_PBS__CA_FILE": "/etc/ca.pem"}).warnings

"""Every name a setting answers to, and names that are nearly right."""

from __future__ import annotations

import pytest

from lastgood.config.registry import SETTINGS
from tests.config.reading import TOML, YAML, loaded, refusal

SAMPLES = {
    "notices.allowed_networks": ("127.0.0.1", "127.0.0.1/32"),
    "notices.private_networks": ("false", None),
    "server.listen": ("[::1]:99", "[::1]:99"),
    "server.base_url": ("https://Backup.example.org/", "https://backup.example.org"),
    "server.trusted_proxies": ("10.0.0.1, fd00::/8", "10.0.0.1/32, fd00::/8"),
    "server.cookie_secure": ("true", "true"),
    "metrics.token": ("abc", "********"),
    "metrics.networks": ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
    "metrics.auth": ("false", "false"),
    "metrics.partial_is_success": ("1", "true"),
    "metrics.natrontech": ("1", "true"),
    "retention.runs_days": (" 7 ", "7"),
    "audit.days": (" 30 ", "30"),
    "audit.head_url": ("https://notary.example.org/abc", "********"),
    "hub.heartbeat_url": ("https://hc.example.org/abc", "********"),
    "hub.heartbeat_seconds": ("70", "70"),
    "log.level": ("warning", "warning"),
    "log.format": ("json", "json"),
}


def _value(found, setting):
    from lastgood.config.values import shown

    return shown(getattr(getattr(found.settings, setting.section), setting.key))


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda each: each.name)
def test_every_setting_is_reached_by_every_one_of_its_names(setting):
    text, expected = SAMPLES.get(
        setting.name,
        ("7" if isinstance(setting.default, int) and not isinstance(setting.default, bool) else "/p", None),
    )
    with_tls = {"LASTGOOD_SERVER__TLS_CERT": "/p", "LASTGOOD_SERVER__TLS_KEY": "/p"}
    for name in setting.env_names():
        by_file = setting.secret and name.endswith("_FILE")
        environ = {name: "/run/secrets/it" if by_file else text}
        if setting.key.startswith("tls_"):
            environ = with_tls
        found = loaded(environ, {"/run/secrets/it": text + "\n"})
        assert _value(found, setting) == (expected or text)
        assert found.origins[setting.name] == f"environment {name}"


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("RM_METRICS_TOKEN", "metrics.token"),
        ("RM_METRICS_TOKEN_FILE", "metrics.token"),
        ("RM_METRICS_TRUSTED_CIDR", "metrics.networks"),
        ("RM_TRUSTED_PROXY", "server.trusted_proxies"),
        ("RM_LISTEN", "server.listen"),
        ("RM_BASE_URL", "server.base_url"),
        ("RM_DATA_DIR", "server.data_dir"),
        ("RM_SECRET_KEY_FILE", "server.secret_key_file"),
        ("RM_COOKIE_SECURE", "server.cookie_secure"),
        ("DOCKMESH_METRICS_AUTH", "metrics.auth"),
    ],
)
def test_the_names_of_the_other_programs_stay_what_they_are(name, setting):
    (owner,) = (each for each in SETTINGS if name in each.env_names())
    assert owner.name == setting


@pytest.mark.parametrize("path", [TOML, YAML])
def test_restic_managers_file_keys_stand_at_the_top(path):
    toml = 'metrics_token = "abc"\nmetrics_trusted_cidrs = ["10.0.0.0/8"]\n'
    yaml = "metrics_token: abc\nmetrics_trusted_cidrs:\n  - 10.0.0.0/8\n"
    found = loaded(files={path: toml if path == TOML else yaml})
    assert found.settings.metrics.token.reveal() == "abc"
    assert found.origins["metrics.networks"] == f"{path}: metrics_trusted_cidrs"


@pytest.mark.parametrize(
    ("text", "opens"), [("false", True), *((t, False) for t in ("False", "0", "no", "", " false"))]
)
def test_only_the_exact_text_false_opens_for_dockmesh(text, opens):
    assert loaded({"DOCKMESH_METRICS_AUTH": text}).settings.metrics.auth is not opens


@pytest.mark.parametrize("text", [":8080", "0.0.0.0:8080", "127.0.0.1:8080", "localhost:0", "[::]:8080"])
def test_an_address_to_listen_on_survives_reading(text):
    assert str(loaded({"RM_LISTEN": text}).settings.server.listen) == text


def test_a_port_alone_listens_everywhere_as_in_go():
    assert loaded({"RM_LISTEN": ":8080"}).settings.server.listen.host == ""


@pytest.mark.parametrize("text", ["8080", "127.0.0.1", "::1:8080", "a:70000", "a b:1", "http://a:1", "[::1]"])
def test_an_address_that_is_none_is_refused(text):
    assert "not an address and port" in refusal({"LASTGOOD_SERVER__LISTEN": text})


def test_two_names_with_one_value_agree():
    found = loaded({"RM_METRICS_TOKEN": "abc", "LASTGOOD_METRICS__TOKEN": "abc"})
    assert found.origins["metrics.token"] == "environment LASTGOOD_METRICS__TOKEN"
    same = loaded({"RM_METRICS_TRUSTED_CIDR": "10.0.0.1", "LASTGOOD_METRICS__NETWORKS": "10.0.0.1/32"})
    assert len(same.settings.metrics.networks) == 1


@pytest.mark.parametrize(
    ("environ", "files"),
    [
        ({"RM_METRICS_TOKEN": "one", "LASTGOOD_METRICS__TOKEN": "two"}, {}),
        ({"RM_METRICS_TOKEN_FILE": "/s", "LASTGOOD_METRICS__TOKEN": "two"}, {"/s": "one\n"}),
        ({}, {TOML: 'metrics_token = "one"\n[metrics]\ntoken = "two"\n'}),
    ],
)
def test_two_names_with_different_values_are_refused_and_neither_value_is_told(environ, files):
    sentence = refusal(environ, files)
    assert "both set metrics.token, to different values" in sentence
    assert all(name in sentence for name in environ)
    assert "one" not in sentence.replace("one of them", "") and "two" not in sentence


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("LASTGOOD_METRICS__TOKN", "LASTGOOD_METRICS__TOKEN"),
        ("LASTGOOD_METRIC__TOKEN", "LASTGOOD_METRICS__TOKEN"),
        ("LASTGOOD_SERVER__SECRET_KEYFILE", "LASTGOOD_SERVER__SECRET_KEY_FILE"),
        ("LASTGOOD_LOG__LEVEL_FILE", "LASTGOOD_LOG__LEVEL"),
    ],
)
def test_an_unknown_variable_with_two_underscores_is_refused_with_the_nearest_name(name, near):
    assert refusal({name: "x"}) == f"The environment variable {name} names no setting; did you mean {near}?"


def test_a_name_that_resembles_nothing_points_to_the_list():
    assert refusal({"LASTGOOD_QQQ__ZZZ": "x"}).endswith("docs/settings.md lists all names.")


def test_a_variable_without_two_underscores_warns_with_the_nearest_name():
    (warning,) = loaded({"LASTGOOD_METRICS_TOKEN": "x"}).warnings
    assert warning.endswith("LASTGOOD_METRICS_TOKEN is not read; did you mean LASTGOOD_METRICS__TOKEN?")


def test_what_an_orchestrator_injects_warns_and_starts():
    found = loaded({"LASTGOOD_PORT": "tcp://10.0.0.1:80", "LASTGOOD_PORT_80_TCP_ADDR": "10.0.0.1"})
    assert len(found.warnings) == 2


def test_a_nearly_right_foreign_name_warns_so_that_no_fence_is_missed():
    (warning,) = loaded({"RM_METRICS_TRUSTED_CIDRS": "10.0.0.0/8"}).warnings
    assert warning.endswith("did you mean RM_METRICS_TRUSTED_CIDR?")


def test_names_that_steer_commands_and_tests_are_no_settings():
    names = ("URL", "TOKEN", "TOKEN_FILE", "DEBUG", "TEST_POSTGRES", "TEST_A__B")
    environ = {f"LASTGOOD_{name}": "x" for name in names} | {"RM_SOMETHING_ELSE": "x", "PATH": "/bin"}
    assert loaded(environ).warnings == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[metrics]\ntokn = "x"\n', "metrics.tokn is not a setting; did you mean metrics.token?"),
        ('[metriks]\ntoken = "x"\n', "metriks is not known; did you mean metrics?"),
        ('metric_token = "x"\n', "metric_token is not known; did you mean metrics_token?"),
        ("[log]\npartial_is_success = true\n", "did you mean metrics.partial_is_success?"),
        ("[exporter]\nlog_level = 'info'\n", "lastgood exporter alone, from its own --config; take the section out."),
        ('server = "x"\n', "server is a section; write its settings below it."),
        ("[server.listen]\nhost = 1\n", "server.listen must be an address and port written as text, in quotes."),
    ],
)
def test_an_unknown_key_in_a_file_is_refused_with_file_and_nearest_name(text, expected):
    sentence = refusal(files={TOML: text})
    assert sentence.startswith(f"{TOML}: ")
    assert sentence.endswith(expected)


def test_an_unknown_key_is_refused_even_where_the_environment_wins():
    assert "log.levels" in refusal({"LASTGOOD_LOG__LEVEL": "info"}, {TOML: '[log]\nlevels = "info"\n'})

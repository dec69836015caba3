"""Command line before environment before file before default, and where the file comes from."""

from __future__ import annotations

import errno
from pathlib import Path

from lastgood.config.load import load, render_check
from lastgood.config.settings import Settings
from tests.config.reading import TOML, YAML, loaded, refusal


def test_nothing_set_gives_the_defaults_and_says_so():
    found = loaded()
    assert found.settings == Settings()
    assert set(found.origins.values()) == {"default"}
    assert found.warnings == []
    assert str(found.settings.server.listen) == "127.0.0.1:8080"
    assert found.settings.server.data_dir == Path("/var/lib/lastgood")


def test_the_file_beats_the_default():
    found = loaded(files={TOML: '[log]\nlevel = "debug"\n'})
    assert found.settings.log.level == "debug"
    assert found.origins["log.level"] == f"{TOML}: log.level"


def test_the_environment_beats_the_file():
    found = loaded({"LASTGOOD_LOG__LEVEL": "error"}, {TOML: '[log]\nlevel = "debug"\nformat = "json"\n'})
    assert found.settings.log.level == "error"
    assert found.settings.log.format == "json"
    assert found.origins["log.level"] == "environment LASTGOOD_LOG__LEVEL"


def test_a_foreign_name_in_the_environment_beats_our_name_in_the_file():
    found = loaded({"RM_LISTEN": ":9000"}, {TOML: '[server]\nlisten = "127.0.0.1:1"\n'})
    assert str(found.settings.server.listen) == ":9000"
    assert found.origins["server.listen"] == "environment RM_LISTEN"


def test_the_command_line_beats_the_environment():
    found = loaded({"LASTGOOD_SERVER__LISTEN": ":1"}, options={"server.listen": "[::1]:2"})
    assert found.settings.server.listen.host == "::1"
    assert found.origins["server.listen"] == "command line"


def test_a_bad_value_on_the_command_line_is_refused_by_its_name():
    assert refusal(options={"server.listen": "here"}).startswith("command line (server.listen) is 'here'")


def test_toml_and_yaml_say_the_same():
    toml = loaded(files={TOML: '[metrics]\nnetworks = ["10.0.0.0/8", "fd00::/8"]\nauth = false\n'})
    yaml = loaded(files={YAML: "metrics:\n  networks: [10.0.0.0/8, 'fd00::/8']\n  auth: false\n"})
    assert toml.settings == yaml.settings
    assert [str(each) for each in toml.settings.metrics.networks] == ["10.0.0.0/8", "fd00::/8"]


def test_the_option_names_the_file_before_the_variable_does():
    files = {"/a.toml": "[retention]\nruns_days = 1\n", "/b.yml": "retention:\n  runs_days: 2\n"}
    assert loaded({"LASTGOOD_CONFIG": "/b.yml"}, files).settings.retention.runs_days == 2
    assert loaded({"LASTGOOD_CONFIG": "/b.yml"}, files, "/a.toml").settings.retention.runs_days == 1


def test_a_named_file_replaces_the_usual_one():
    found = loaded(files={"/a.toml": "", TOML: '[log]\nlevel = "debug"\n'}, config="/a.toml")
    assert found.settings.log.level == "info"


def test_a_named_file_that_is_missing_is_refused():
    assert "Cannot read /a.toml" in refusal({"LASTGOOD_CONFIG": "/a.toml"})


def test_a_usual_file_that_may_not_be_read_is_refused_and_not_passed_over():
    sentence = refusal(files={TOML: errno.EACCES})
    assert TOML in sentence and "permission denied" in sentence


def test_two_usual_files_are_refused():
    sentence = refusal(files={TOML: "", YAML: ""})
    assert TOML in sentence and YAML in sentence


def test_an_empty_variable_counts_as_absent():
    found = loaded({"LASTGOOD_LOG__LEVEL": "", "LASTGOOD_CONFIG": "", "RM_BASE_URL": ""})
    assert found.origins["log.level"] == "default"


def test_the_real_disk_is_read_without_a_reader(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('[log]\nformat = "json"\n')
    assert load({}, argv_config_path=str(path)).settings.log.format == "json"


def test_the_check_shows_every_setting_once_with_its_origin_and_no_secret():
    rows = render_check(
        loaded(
            {"RM_METRICS_TOKEN": "swordfish", "LASTGOOD_METRICS__NETWORKS": "10.0.0.0/8,10.9.0.1"},
        )
    )
    shown = {row.name: row for row in rows}
    assert len(shown) == len(rows)
    assert shown["metrics.token"] == ("metrics.token", "********", "environment RM_METRICS_TOKEN")
    assert shown["metrics.networks"].value == "10.0.0.0/8, 10.9.0.1/32"
    assert shown["server.secret_key_file"].value == "(secret.key in server.data_dir)"
    assert shown["log.level"] == ("log.level", "info", "default")
    assert "swordfish" not in str(rows)

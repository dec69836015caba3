"""What the program brings for Grafana and Prometheus, as its commands hand it out."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from tests.flow.hub import lastgood

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy/prometheus/rules"


def test_dashboards_are_written_into_a_folder_that_is_made(tmp_path: Path) -> None:
    folder = tmp_path / "new/dashboards"
    done = lastgood("dashboards", "--dir", str(folder))
    assert done.returncode == 0, done.stderr
    written = sorted(folder.iterdir())
    assert done.stdout.splitlines() == [str(path) for path in written]
    assert {path.name: path.read_bytes() for path in written} == {
        path.name: path.read_bytes() for path in (ROOT / "deploy/grafana").iterdir()
    }
    assert {json.loads(path.read_text())["schemaVersion"] for path in written} == {39}


def test_older_dashboards_are_replaced(tmp_path: Path) -> None:
    older = tmp_path / "lastgood-overview.json"
    older.write_text("{}")
    assert lastgood("dashboards", "--dir", str(tmp_path)).returncode == 0
    assert json.loads(older.read_text())["uid"] == "lastgood-overview"


def test_a_folder_that_cannot_be_made_is_said_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = lastgood("dashboards", "--dir", str(tmp_path / "file"))
    assert done.returncode == 78
    assert done.stdout == ""
    (said,) = done.stderr.splitlines()
    assert said.startswith("lastgood: The dashboard ")
    assert "--dir" in said


def test_rules_are_printed_as_one_rule_file() -> None:
    done = lastgood("rules")
    assert (done.returncode, done.stderr) == (0, "")
    groups = [group for path in sorted(RULES.glob("*.yml")) for group in yaml.safe_load(path.read_text())["groups"]]
    assert yaml.safe_load(done.stdout) == {"groups": groups}


def test_rules_of_one_subject_are_its_file() -> None:
    done = lastgood("rules", "backup")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (RULES / "backup.yml").read_text()


def test_rules_of_an_unknown_subject_are_refused_with_those_that_there_are() -> None:
    done = lastgood("rules", "tapes")
    assert (done.returncode, done.stdout) == (78, "")
    (said,) = done.stderr.splitlines()
    assert said.startswith("lastgood: There are no rules called tapes; say one of backup")

"""The rules for Prometheus: checked and tested by its own promtool, about metrics that exist, told in the docs."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from lastgood.alerts.rules import RULES as OWN_RULES
from lastgood.cli.rules import one_file
from lastgood.metrics import VOCABULARIES
from tests.house.promql import metrics
from tests.prometheus import program

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "deploy/prometheus/rules").glob("*.yml"))
BACKUP = ROOT / "deploy/prometheus/rules/backup.yml"
TESTS = sorted((ROOT / "deploy/prometheus/tests").glob("*.yml"))
PAGE = ROOT / "docs/rules.md"
GROUPS: dict[Path, list[dict[str, Any]]] = {path: yaml.safe_load(path.read_text())["groups"] for path in FILES}
RULES = {path: [rule for group in groups for rule in group["rules"]] for path, groups in GROUPS.items()}
ALERTS = {rule["alert"]: rule for rules in RULES.values() for rule in rules if "alert" in rule}
RECORDED = {rule["record"]: rule for rules in RULES.values() for rule in rules if "record" in rule}
UNREAD = {
    "tool_state:backup_sources:count",
    "source:backup_target_used:ratio",
    "stack_result:dockmesh_deploy_duration_seconds:p95_5m",
    "severity:dockmesh_alerts_fired:rate5m",
}
"""Recorded for panels that people make."""
SITUATIONS = ("healthy", "failing", "absent", "stale", "down", "half", "restarted", "recovered")


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [program("promtool"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


@each_file
def test_promtool_finds_nothing_to_say_about_the_rules(path: Path) -> None:
    done = promtool("check", "rules", "--lint=all", "--lint-fatal", path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"SUCCESS: {len(RULES[path])} rules found" in done.stdout


def test_promtool_takes_all_rules_in_one_file(tmp_path: Path) -> None:
    joined = tmp_path / "all.yml"
    joined.write_text(one_file([path.read_text() for path in FILES]))
    assert yaml.safe_load(joined.read_text())["groups"] == [group for groups in GROUPS.values() for group in groups]
    done = promtool("check", "rules", "--lint=all", "--lint-fatal", joined)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_promtools_unit_tests_pass(path: Path) -> None:
    done = promtool("test", "rules", path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout


def test_promtool_notices_a_rule_that_does_not_fire(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "tests").mkdir()
    (tmp_path / "rules/backup.yml").write_text(BACKUP.read_text().replace("[15m]) == 8", "[15m]) == 9"))
    broken = tmp_path / "tests/backup_failed.yml"
    broken.write_text((ROOT / "deploy/prometheus/tests/backup_failed.yml").read_text())
    assert promtool("test", "rules", broken).returncode == 1


def test_each_alert_is_tested_in_every_situation_and_to_the_word() -> None:
    texts = [path.read_text() for path in TESTS]
    for alert in ALERTS:
        about = [text for text in texts if f"alertname: {alert}\n" in text]
        assert len(about) == 1, alert
        assert [word for word in SITUATIONS if f'="{word}"' not in about[0]] == [], alert


def test_rules_read_only_metrics_that_exist() -> None:
    told = {name for vocabulary in VOCABULARIES for family in vocabulary.families for name in family.sample_names}
    read = {metric for rules in RULES.values() for rule in rules for metric in metrics(rule["expr"])}
    assert read - told - RECORDED.keys() - {"up"} == set()
    assert RECORDED.keys() - read == UNREAD


def test_no_name_is_given_twice() -> None:
    rules = [rule for rules in RULES.values() for rule in rules]
    assert len(rules) == len(ALERTS) + len(RECORDED)
    groups = [group["name"] for groups in GROUPS.values() for group in groups]
    assert len(groups) == len(set(groups))


@each_file
def test_what_alerts_of_a_group_read_is_recorded_in_it_before(path: Path) -> None:
    own = {rule["record"] for rule in RULES[path] if "record" in rule}
    for group in GROUPS[path]:
        known: set[str] = set()
        for rule in group["rules"]:
            assert metrics(rule["expr"]) & own <= known, rule
            known |= {rule["record"]} if "record" in rule else set()


def test_no_rule_matches_a_bucket_by_its_text() -> None:
    assert [path for path in FILES if re.search(r"\ble\s*(=|!)", path.read_text())] == []


def test_each_source_rule_of_lastgood_has_its_twin_with_the_same_severity() -> None:
    twins = {
        f"Lastgood{''.join(word.title() for word in rule.id.split('_'))}": rule.severity
        for rule in OWN_RULES
        if rule.id.startswith(("backup_", "host_off"))
    }
    assert twins.keys() <= ALERTS.keys()
    assert {name: ALERTS[name]["labels"]["severity"] for name in twins} == {n: str(s) for n, s in twins.items()}


def test_the_package_brings_the_same_rules() -> None:
    brought = {path.name: path.read_bytes() for path in (ROOT / "src/lastgood/assets/prometheus").glob("*.yml")}
    assert brought == {path.name: path.read_bytes() for path in FILES}, "run scripts/docs"


ALERT_HEAD = "| alert | severity | holds for | meaning |\n| --- | --- | --- | --- |\n"
RECORD_HEAD = "| name | expression |\n| --- | --- |\n"


def test_the_page_tells_every_rule(refresh_golden: bool) -> None:
    """One table of alerts and one of what is recorded for each file, in the order of their names."""
    text = PAGE.read_text()
    for head, tables in (
        (ALERT_HEAD, [_alerts(RULES[path]) for path in FILES]),
        (RECORD_HEAD, [_records(RULES[path]) for path in FILES if any("record" in rule for rule in RULES[path])]),
    ):
        first, *rest = text.split(head)
        assert len(rest) == len(tables), "each file of rules has its tables"
        written = [re.findall(r"\A(?:\|.*\n)*", part)[0] for part in rest]
        if refresh_golden:
            after = (part[len(old) :] for part, old in zip(rest, written, strict=True))
            text = first + "".join(head + new + part for new, part in zip(tables, after, strict=True))
        else:
            assert written == tables
    if refresh_golden:
        PAGE.write_text(text)


def _alerts(rules: list[dict[str, Any]]) -> str:
    return "".join(
        f"| `{rule['alert']}` | {rule['labels']['severity']} | {rule.get('for', 'at once')} | {_meaning(rule)} |\n"
        for rule in rules
        if "alert" in rule
    )


def _records(rules: list[dict[str, Any]]) -> str:
    return "".join(
        f"| `{rule['record']}` | `{' '.join(rule['expr'].split())}` |\n" for rule in rules if "record" in rule
    )


def _meaning(rule: dict[str, Any]) -> str:
    """Its words, with the names of labels, those that may be missing left out, and without the value."""
    told = f"{rule['annotations']['summary']} {rule['annotations']['description']}"
    told = re.sub(r"\{\{ with \$labels\.\w+ \}\}[^{]*\{\{ \. \}\}\{\{ end \}\}", "", told)
    told = re.sub(r"\{\{ \$labels\.(\w+) \}\}", r"*\1*", told)
    told = re.sub(r"\{\{ \$value \| humanizeDuration \}\}", "so long", told)
    return re.sub(r"\{\{ \$value[^}]* \}\}", "so many", told)

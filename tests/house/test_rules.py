"""The rules for Prometheus: checked and tested by its own promtool, about metrics that exist, told in the docs."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from lastgood.alerts.rules import RULES as OWN_RULES
from lastgood.metrics import VOCABULARIES
from tests.house.promql import metrics
from tests.prometheus import program

ROOT = Path(__file__).parents[2]
FILE = ROOT / "deploy/prometheus/rules/backup.yml"
TESTS = sorted((ROOT / "deploy/prometheus/tests").glob("*.yml"))
PAGE = ROOT / "docs/rules.md"
GROUPS: list[dict[str, Any]] = yaml.safe_load(FILE.read_text())["groups"]
RULES = [rule for group in GROUPS for rule in group["rules"]]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
RECORDED = {rule["record"]: rule for rule in RULES if "record" in rule}
SITUATIONS = ("healthy", "failing", "absent", "stale", "down", "half", "restarted", "recovered")


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [program("promtool"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_promtool_finds_nothing_to_say_about_the_rules() -> None:
    done = promtool("check", "rules", "--lint=all", "--lint-fatal", FILE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"SUCCESS: {len(RULES)} rules found" in done.stdout


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_promtools_unit_tests_pass(path: Path) -> None:
    done = promtool("test", "rules", path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout


def test_promtool_notices_a_rule_that_does_not_fire(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "tests").mkdir()
    (tmp_path / "rules/backup.yml").write_text(FILE.read_text().replace("[15m]) == 8", "[15m]) == 9"))
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
    read = {metric for rule in RULES for metric in metrics(rule["expr"])}
    assert read - told - RECORDED.keys() - {"up"} == set()
    assert RECORDED.keys() - read == {"tool_state:backup_sources:count", "source:backup_target_used:ratio"}


def test_what_alerts_of_a_group_read_is_recorded_in_it_before() -> None:
    for group in GROUPS:
        known: set[str] = set()
        for rule in group["rules"]:
            assert metrics(rule["expr"]) & RECORDED.keys() <= known, rule
            known |= {rule["record"]} if "record" in rule else set()


def test_no_rule_matches_a_bucket_by_its_text() -> None:
    assert re.findall(r"\ble\s*(=|!)", FILE.read_text()) == []


def test_each_source_rule_of_lastgood_has_its_twin_with_the_same_severity() -> None:
    twins = {
        f"Lastgood{''.join(word.title() for word in rule.id.split('_'))}": rule.severity
        for rule in OWN_RULES
        if rule.id.startswith(("backup_", "host_off"))
    }
    assert twins.keys() <= ALERTS.keys()
    assert {name: ALERTS[name]["labels"]["severity"] for name in twins} == {n: str(s) for n, s in twins.items()}


def test_the_package_brings_the_same_rules() -> None:
    assert (ROOT / "src/lastgood/assets/prometheus/backup.yml").read_bytes() == FILE.read_bytes(), "run scripts/docs"


def test_the_page_tells_every_rule(refresh_golden: bool) -> None:
    alerts = "".join(
        f"| `{name}` | {rule['labels']['severity']} | {rule.get('for', 'at once')} | {_meaning(rule)} |\n"
        for name, rule in ALERTS.items()
    )
    records = "".join(f"| `{name}` | `{' '.join(rule['expr'].split())}` |\n" for name, rule in RECORDED.items())
    text = PAGE.read_text()
    for head, rows in (
        ("| alert | severity | holds for | meaning |\n| --- | --- | --- | --- |\n", alerts),
        ("| name | expression |\n| --- | --- |\n", records),
    ):
        before, rest = text.split(head)
        written = re.match(r"(?:\|.*\n)*", rest)
        assert written is not None
        if refresh_golden:
            text = before + head + rows + rest[written.end() :]
        else:
            assert written[0] == rows
    if refresh_golden:
        PAGE.write_text(text)


def _meaning(rule: dict[str, Any]) -> str:
    """Its words, with the names of labels and without the value that only an alert has."""
    told = f"{rule['annotations']['summary']} {rule['annotations']['description']}"
    told = re.sub(r"\{\{ \$labels\.(\w+) \}\}", r"*\1*", told)
    return re.sub(r"\{\{ \$value \| humanizeDuration \}\}", "so long", told)

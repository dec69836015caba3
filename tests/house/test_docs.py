"""Pages that tell what code decides are held to it; `--refresh-golden` writes their tables anew."""

from __future__ import annotations

import re
from pathlib import Path

from lastgood import __version__
from lastgood.alerts.rules import RULES

ROOT = Path(__file__).parents[2]
HEAD = "| rule | severity | opens when |\n| --- | --- | --- |\n"


def test_the_table_of_alert_rules_is_that_of_the_code(refresh_golden: bool) -> None:
    rows = "".join(f"| `{rule.id}` | {rule.severity} | {rule.meaning} |\n" for rule in RULES)
    page = ROOT / "docs/states.md"
    text = page.read_text()
    before, rest = text.split(HEAD)
    written, after = re.fullmatch(r"((?:[|<].*\n)*)(.*)", rest, re.S).groups()  # type: ignore[union-attr]
    if refresh_golden:
        page.write_text(before + HEAD + rows + after)
    else:
        assert written == rows


def test_the_changelog_speaks_of_this_version() -> None:
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert headings[0] == __version__


def test_every_page_that_the_readme_names_is_there() -> None:
    named = re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / "README.md").read_text())
    assert len(named) > 8
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_what_the_page_in_monitoring_points_at_is_there() -> None:
    page = ROOT / "monitoring/README.md"
    named = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())
    assert len(named) > 5
    assert [path for path in named if not (page.parent / path).exists()] == []


def test_links_between_pages_lead_somewhere() -> None:
    broken = [
        f"{page.name}: {target}"
        for page in sorted((ROOT / "docs").glob("*.md"))
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())
        if not (page.parent / target).exists()
    ]
    assert broken == []


def test_no_module_is_longer_than_one_subject_needs() -> None:
    long = {
        str(path.relative_to(ROOT)): count
        for path in (ROOT / "src").rglob("*.py")
        if (count := len(path.read_text().splitlines())) > 400
    }
    assert long == {}

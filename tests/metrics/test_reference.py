"""docs/metrics.md is what the families say, and docs/prometheus.md names only what exists."""

from __future__ import annotations

import re
from pathlib import Path

from lastgood.metrics import VOCABULARIES
from lastgood.metrics.reference import reference
from tests.metrics.test_promtool import KNOWN_EXCEPTIONS

DOCS = Path(__file__).parents[2] / "docs"


def test_the_reference_page_is_made_from_the_families(refresh_golden: bool) -> None:
    page = DOCS / "metrics.md"
    if refresh_golden:
        page.write_text(reference(VOCABULARIES))
    assert page.read_text() == reference(VOCABULARIES)


def test_the_guide_names_only_families_that_exist_and_every_lint_exception() -> None:
    guide = (DOCS / "prometheus.md").read_text()
    families = [family for vocabulary in VOCABULARIES for family in vocabulary.families]
    known = {name for family in families for name in (family.name, *family.sample_names)}
    named = set(re.findall(r"\b(?:rm|dockmesh|backup|lastgood|process)_[a-z_]+[a-z]\b", guide))
    settings = {"rm_metrics_token"}
    assert named - known - settings == set()
    assert set(KNOWN_EXCEPTIONS) <= named


def test_the_guide_names_every_vocabulary() -> None:
    guide = (DOCS / "prometheus.md").read_text()
    assert all(f"| `{vocabulary.name}` |" in guide for vocabulary in VOCABULARIES)

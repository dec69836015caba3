"""promtool's lint finds the names that the rm_* reference fixes, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lastgood.fleet.fleet import FleetView
from lastgood.metrics import VOCABULARIES
from lastgood.metrics.text import Format, chunks
from lastgood.metrics.vocabulary import Vocabulary, sections
from tests.metrics.fleets import OWN, awkward, twelve_hosts
from tests.prometheus import lint

KNOWN_EXCEPTIONS = {
    "rm_hosts_total": 'non-counter metrics should not have "_total" suffix',
    "dockmesh_hosts_total": 'non-counter metrics should not have "_total" suffix',
    "dockmesh_stacks_total": 'non-counter metrics should not have "_total" suffix',
    "dockmesh_containers_total": 'non-counter metrics should not have "_total" suffix',
    "rm_host_snapshot_count": 'non-histogram and non-summary metrics should not have "_count" suffix',
}
"""A name here is fixed by a published reference; docs/prometheus.md says so too."""


@pytest.mark.parametrize("page", [twelve_hosts, awkward])
@pytest.mark.parametrize(
    "vocabulary", [v for v in VOCABULARIES if v.collected is None], ids=lambda vocabulary: vocabulary.name
)
def test_lint_finds_the_known_exceptions_and_nothing_else(
    vocabulary: Vocabulary, page: Callable[[], FleetView]
) -> None:
    body = b"".join(chunks(sections([vocabulary], page(), OWN), Format.TEXT))
    lines = body.decode().splitlines()
    names = {
        f.name for f in vocabulary.families if any(line.startswith((f"{f.name} ", f"{f.name}{{")) for line in lines)
    }
    exceptions = [f"{name} {words}" for name, words in KNOWN_EXCEPTIONS.items() if name in names]
    code, findings = lint(body)
    assert sorted(findings) == sorted(exceptions)
    assert code == (3 if exceptions else 0)

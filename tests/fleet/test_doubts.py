"""What the witness remarks about a repository: each with a sentence, since when, and gone when it is over."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from lastgood.alerts import rules
from lastgood.fleet.doubts import MOST_MISDATED
from lastgood.model import fact
from lastgood.model.alert import Severity
from lastgood.model.job import Outcome, RunKind
from lastgood.model.repository import Probe
from tests.builders import a_host, a_run, a_source
from tests.fleet.scene import MADE, day
from tests.fleet.vault import DAY, HOUR, Vault, a_snapshot

FIRST = day(2, 2)
LOOKED = day(12, 3)


def a_vault(**changes: object) -> Vault:
    vault = Vault()
    vault.nightly(FIRST, 11, **changes)
    return vault


def test_a_sound_repository_gives_no_reason_to_doubt_and_no_finding() -> None:
    vault = a_vault(size_bytes=1000, files=10)
    vault.look(LOOKED)
    assert vault.doubts == []
    assert list(rules.findings(vault.fleet, "repository", vault.repository.id, LOOKED)) == []


def test_a_snapshot_that_stands_there_twice_is_counted_once_and_told() -> None:
    vault = a_vault()
    copy = replace(vault.listed[-1], id="e" * 64, short_id="e" * 8, original=vault.listed[-1].id, tags=("keep",))
    vault.listed.append(copy)
    vault.look(LOOKED)
    assert vault.evidence().snapshots == 11
    assert vault.kinds == ["duplicated"]
    assert vault.doubts[0].sentence.startswith("1 snapshot stands there twice")
    vault.listed.remove(copy)
    vault.look(LOOKED + HOUR)
    assert vault.doubts == []
    assert vault.evidence().finding is None


def test_the_moment_of_a_remark_is_that_of_the_first_look_that_showed_it() -> None:
    vault = a_vault()
    vault.listed.append(a_snapshot(day(30)))
    vault.look(LOOKED)
    vault.look(LOOKED + HOUR)
    assert [doubt.since for doubt in vault.doubts] == [LOOKED]
    assert "claims 2026-03-30 00:00 UTC" in vault.doubts[0].sentence


@pytest.mark.parametrize(
    ("sizes", "files", "says"),
    [
        ([1000] * 5 + [0], [10] * 5 + [0], "0 files, those before it 10"),
        ([1000] * 5 + [400], [10] * 6, "400 bytes, those before it 1,000"),
        ([1000] * 5 + [600], [10] * 6, None),
        ([1000] * 2 + [0], [10] * 2 + [0], None),
        ([None] * 5 + [0], [None] * 5 + [0], None),
        ([1000] * 5 + [None], [10] * 5 + [None], None),
    ],
    ids=["empty", "far smaller", "a little smaller", "too few to say", "old ones tell none", "the newest tells none"],
)
def test_a_fall_against_the_median_is_remarked(
    sizes: list[int | None], files: list[int | None], says: str | None
) -> None:
    vault = Vault()
    for number, (size, count) in enumerate(zip(sizes, files, strict=True)):
        vault.listed.append(a_snapshot(FIRST + number * DAY, size_bytes=size, files=count))
    vault.look(FIRST + len(sizes) * DAY)
    if says is None:
        assert vault.kinds == []
    else:
        assert vault.kinds == ["shrunk"]
        assert says in vault.doubts[0].sentence


def test_an_agents_good_run_whose_snapshot_is_not_there_is_remarked() -> None:
    vault = Vault()
    host = a_host("web-1")
    source = a_source("home", host, vault.repository, created_at=MADE, revised_at=MADE)
    vault.tell(fact.HostEnrolled(at=MADE, origin="test", host=host))
    vault.tell(fact.SourceConfigured(at=MADE, origin="test", source=source))
    vault.tell(fact.RunFinished(at=day(2), origin="test", run=a_run(source, day(2))))
    vault.look(day(3))
    assert vault.kinds == ["missing"]
    assert vault.doubts[0].sentence == "Good snapshots of home on web-1 are gone; none is left."
    found = list(rules.findings(vault.fleet, "repository", vault.repository.id, day(3)))
    assert [(one.key.rule, one.severity, one.host_id) for one in found] == [
        ("repository_finding", Severity.WARNING, None)
    ]
    assert found[0].message == "vault: Good snapshots of home on web-1 are gone; none is left."


def test_a_tag_edit_of_an_agents_snapshot_takes_nothing_back() -> None:
    vault = Vault()
    host = a_host("web-1")
    source = a_source("home", host, vault.repository, created_at=MADE, revised_at=MADE)
    vault.tell(fact.HostEnrolled(at=MADE, origin="test", host=host))
    vault.tell(fact.SourceConfigured(at=MADE, origin="test", source=source))
    run = a_run(source, day(2), snapshot_id="a" * 8)
    vault.tell(fact.RunFinished(at=day(2), origin="test", run=run))
    vault.listed.append(
        a_snapshot(day(2) - HOUR, "web-1", "/home", tags=(source.tag, "keep"), original="a" * 64, id="b" * 64)
    )
    vault.look(day(3))
    assert vault.doubts == []
    assert vault.fleet.evidence_of(source.id).last_full is not None


def test_a_forget_that_removed_nothing_is_remarked_until_one_went_well() -> None:
    vault = Vault()
    host = a_host("web-1")
    source = a_source("home", host, vault.repository, created_at=MADE, revised_at=MADE)
    vault.tell(fact.HostEnrolled(at=MADE, origin="test", host=host))
    vault.tell(fact.SourceConfigured(at=MADE, origin="test", source=source))

    def forget(number: int, outcome: Outcome, **changes: object) -> None:
        run = a_run(source, day(number), outcome, kind=RunKind.FORGET, snapshot_id=None, **changes)
        vault.tell(fact.RunFinished(at=day(number), origin="test", run=run))

    forget(2, Outcome.FAILED, cause="not_removed", reason="They are still there.")
    assert vault.kinds == ["kept"]
    forget(3, Outcome.FAILED, cause="not_removed", reason="They are still there.")
    forget(4, Outcome.FAILED, cause="unreachable")
    vault.look(day(4))
    assert [(doubt.kind.value, doubt.since) for doubt in vault.doubts] == [("kept", day(2))]
    assert vault.doubts[0].sentence == "The retention of home on web-1 is not met: They are still there."
    forget(5, Outcome.SUCCESS)
    assert vault.doubts == []


def test_snapshots_without_an_owner_are_told_and_raise_no_alert() -> None:
    vault = a_vault(tags=("lg:01ARZ3NDEKTSV4RRFFQ69G5FAV",))
    vault.look(LOOKED)
    assert vault.kinds == ["orphaned"]
    assert "11 snapshots carry the mark" in vault.doubts[0].sentence
    assert list(rules.findings(vault.fleet, "repository", vault.repository.id, LOOKED)) == []


def test_another_repository_at_the_address_is_remarked_by_the_probe_and_stays_through_looks() -> None:
    vault = a_vault()
    for identity, at in (("a" * 64, LOOKED), ("b" * 64, LOOKED + HOUR)):
        vault.tell(
            fact.RepositoryProbed(
                at=at,
                origin="hub:lookout",
                repository_id=vault.repository.id,
                probe=Probe.READY,
                probed_at=at,
                identity=identity,
            )
        )
    assert vault.kinds == ["identity"]
    vault.look(LOOKED + 2 * HOUR)
    assert vault.kinds == ["identity"]
    assert vault.doubts[0].since == LOOKED + HOUR


def test_what_is_remembered_of_misdated_snapshots_has_a_bound() -> None:
    vault = Vault()
    for number in range(MOST_MISDATED + 50):
        vault.listed.append(a_snapshot(day(30) + timedelta(minutes=number), f"host-{number}"))
    vault.look(LOOKED)
    evidence = vault.fleet.repository_evidence_of(vault.repository.id)
    assert len(evidence.misdated) == MOST_MISDATED
    assert len(evidence.doubts) <= 100
    assert vault.found == []

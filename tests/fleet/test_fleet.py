"""What a fleet and a frozen view of it answer."""

from __future__ import annotations

from lastgood.fleet.fleet import Fleet
from lastgood.model import fact
from lastgood.model.host import ABSENT
from lastgood.model.repository import NO_REPOSITORY_EVIDENCE
from lastgood.model.source import NO_EVIDENCE
from tests.builders import a_repository, a_source
from tests.fleet.scene import MADE, Scene, day


def test_a_view_answers_what_the_fleet_answers() -> None:
    scene = Scene()
    scene.observe()
    scene.fleet.judging.blind_until = day(2)
    fleet, view = scene.fleet, scene.fleet.view()
    for known_id in (scene.source_id, scene.host.id, scene.repository.id, "nowhere"):
        assert view.evidence_of(known_id) == fleet.evidence_of(known_id)
        assert view.repository_evidence_of(known_id) == fleet.repository_evidence_of(known_id)
        assert view.presence_of(known_id) == fleet.presence_of(known_id)
        assert view.repositories_of_host(known_id) == fleet.repositories_of_host(known_id)
    assert (view.states, view.online, view.blind_until) == (fleet.states, fleet.online, fleet.blind_until)


def test_of_what_is_not_known_there_is_no_evidence() -> None:
    fleet = Fleet()
    assert fleet.evidence_of("nowhere") is NO_EVIDENCE
    assert fleet.repository_evidence_of("nowhere") is NO_REPOSITORY_EVIDENCE
    assert fleet.presence_of("nowhere") is ABSENT
    assert fleet.repositories_of_host("nowhere") == []


def test_the_repositories_of_a_host_come_in_the_order_of_their_sources_also_after_a_restart() -> None:
    scene = Scene()
    vaults = [a_repository(f"vault-{number}") for number in range(3)]
    for number, vault in enumerate((*vaults, vaults[0])):
        scene.tell(fact.RepositoryConfigured(at=MADE, origin="test", repository=vault))
        source = a_source(f"data-{number}", scene.host, vault, id=f"Z{9 - number}")
        scene.tell(fact.SourceConfigured(at=MADE, origin="test", source=source))
    told = scene.fleet.repositories_of_host(scene.host.id)
    assert told == [scene.repository.id, vaults[0].id, vaults[2].id, vaults[1].id]
    scene.fleet.reindex()
    assert scene.fleet.repositories_of_host(scene.host.id) == told

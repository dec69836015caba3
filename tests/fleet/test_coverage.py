"""Is it backed up? An answer for each volume and bind mount, and what counts as one."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from time import process_time
from typing import Any

import pytest

from lastgood.fleet.coverage import coverage, coverage_of, covers, touched, uncovered
from lastgood.fleet.fleet import Fleet
from lastgood.fleet.learn import learn
from lastgood.fleet.subjects import subjects_of
from lastgood.model import fact
from lastgood.model.docker import Answer, Container, ContainerState, Coverage, EngineState, Inventory, Volume
from lastgood.model.job import Outcome
from lastgood.model.source import Source
from tests.builders import (
    NOW,
    a_host,
    a_repository,
    a_run,
    a_source,
    put_host,
    put_repository,
    put_source,
    some_evidence,
)
from tests.dock import (
    ANONYMOUS,
    VOLUMES,
    a_bind,
    a_container,
    a_volume,
    an_engine,
    an_inventory,
    listed,
    of_volume,
    put_inventory,
)

HOST = a_host()
BACKED_UP, SEEN, EXCLUDED, NEVER = Answer.BACKED_UP, Answer.SEEN, Answer.EXCLUDED, Answer.NEVER
SHOP = a_container("web", of_volume("shop_data"), a_bind("/srv/shop"))


def a_fleet(inventory: Inventory, *sources: Source, good: datetime | None = NOW, **engine: Any) -> Fleet:
    fleet = Fleet()
    fleet.judging.evaluated_at = NOW
    put_host(fleet, HOST)
    put_repository(fleet, a_repository())
    for source in sources:
        put_source(fleet, source, some_evidence(None if good is None else a_run(source, good)))
    put_inventory(fleet, HOST, inventory, NOW, **engine)
    return fleet


def answers(fleet: Fleet) -> dict[str, Answer]:
    return {one.subject.title: one.answer for one in coverage(fleet.view(), HOST.id)}


def only(fleet: Fleet) -> Coverage:
    (one,) = coverage(fleet.view(), HOST.id)
    return one


def of(*paths: str, name: str = "all", **told: Any) -> Source:
    return a_source(name, HOST, paths=paths, **told)


def test_each_volume_and_bind_mount_has_one_answer_whoever_shares_it() -> None:
    worker = a_container("worker", of_volume("shop_data", "/elsewhere"))
    fleet = a_fleet(an_inventory(SHOP, worker, volumes=(a_volume("shop_data"), a_volume("left_over"))))
    assert answers(fleet) == {"/srv/shop": NEVER, "shop_data": NEVER, "left_over": NEVER}
    shared = coverage_of(fleet.view(), HOST.id, "volume:shop_data")
    assert shared is not None
    assert shared.subject.users == ("shop/web/1", "shop/worker/1")
    assert shared.because == "No source of this host covers it."


def test_a_source_whose_paths_cover_the_place_and_that_has_a_good_backup_is_the_answer() -> None:
    source = of(VOLUMES)
    fleet = a_fleet(an_inventory(SHOP), source)
    assert answers(fleet) == {"/srv/shop": NEVER, "shop_data": BACKED_UP}
    told = coverage_of(fleet.view(), HOST.id, "volume:shop_data")
    assert told is not None
    assert (told.source_id, told.last_good_at) == (source.id, NOW)


def test_of_several_sources_the_newest_good_backup_speaks() -> None:
    old, new = of("/srv", name="old"), of("/srv/shop", name="new")
    fleet = a_fleet(an_inventory(a_container("web", a_bind("/srv/shop"))), old, new)
    fleet.evidence[old.id] = some_evidence(a_run(old, NOW - timedelta(days=3)))
    assert only(fleet).source_id == new.id


def test_a_source_without_a_good_backup_covers_nothing_yet() -> None:
    fleet = a_fleet(an_inventory(a_container("web", a_bind("/srv/shop"))), of("/srv", name="nightly"), good=None)
    assert (only(fleet).answer, only(fleet).because) == (
        NEVER,
        "nightly covers it and has no good backup yet.",
    )
    source = next(iter(fleet.sources.values()))
    fleet.evidence[source.id] = some_evidence(a_run(source, NOW, Outcome.FAILED))
    assert only(fleet).answer is NEVER


def test_an_archived_source_covers_nothing_any_more() -> None:
    fleet = a_fleet(an_inventory(a_container("web", a_bind("/srv/shop"))), of("/srv", name="old", archived_by="ann"))
    assert only(fleet).because == "Only old covers it, which is archived."


def test_what_appeared_after_the_last_good_backup_began_is_not_in_it() -> None:
    source = of("/srv", name="nightly")
    fleet = a_fleet(an_inventory(a_container("web", a_bind("/srv/shop"))), source)
    two = an_inventory(a_container("web", a_bind("/srv/shop"), a_bind("/srv/new", "/new")))
    learn(fleet, listed(HOST, two, NOW + timedelta(hours=1)))
    assert answers(fleet) == {"/srv/shop": BACKED_UP, "/srv/new": NEVER}
    new = coverage_of(fleet.view(), HOST.id, "bind:/srv/new")
    assert new is not None
    assert new.because == "nightly covers it and has made no backup since it appeared."
    fleet.evidence[source.id] = some_evidence(a_run(source, NOW + timedelta(hours=26)))
    assert answers(fleet) == {"/srv/shop": BACKED_UP, "/srv/new": BACKED_UP}


def test_sources_of_other_hosts_cover_nothing_here_even_with_the_same_path() -> None:
    other = a_host("web-2")
    fleet = a_fleet(an_inventory(SHOP))
    put_host(fleet, other)
    source = a_source("all", other, paths=("/",))
    put_source(fleet, source, some_evidence(a_run(source)))
    assert set(answers(fleet).values()) == {NEVER}


@pytest.mark.parametrize(
    ("path", "paths", "excludes", "covered"),
    [
        ("/srv/shop", ("/srv",), (), True),
        ("/srv/shop", ("/",), (), True),
        ("/srv/shop", ("/srv/shop/",), (), True),
        ("/srv/shop", ("/srv/shopping",), (), False),
        ("/srv/shop", ("/srv/shop/data",), (), False),
        ("/srv/shop", ("/srv",), ("/srv/shop",), False),
        ("/srv/shop/data", ("/srv",), ("/srv/shop",), False),
        ("/srv/shop", ("/srv",), ("/srv/shop/cache",), True),
        ("/srv/shop", ("/srv",), ("shop",), False),
        ("/srv/shop", ("/srv",), ("*.tmp",), True),
        ("/srv/shop.tmp", ("/srv",), ("*.tmp",), False),
        ("/srv/a/shop", ("/srv",), ("a/shop",), False),
        ("/srv/a/shop", ("/srv",), ("/srv/*",), False),
        ("/srv/a/shop", ("/srv",), ("/srv/*/cache",), True),
        ("/srv/a/shop", ("/srv",), ("/**/shop",), False),
        ("/srv/shop", ("/srv/shop",), ("srv",), True),
    ],
)
def test_a_path_is_covered_unless_the_source_leaves_it_out(
    path: str, paths: tuple[str, ...], excludes: tuple[str, ...], covered: bool
) -> None:
    assert covers(of(*paths, excludes=excludes), path) is covered


def test_an_anonymous_volume_is_the_same_place_when_it_is_made_anew() -> None:
    def cache(name: str) -> Inventory:
        volume = a_volume(name, is_anonymous=True)
        return an_inventory(a_container("web", of_volume(name, "/cache")), volumes=(volume,))

    fleet = a_fleet(cache(ANONYMOUS))
    key = "anonymous:shop/web/1:/cache"
    assert only(fleet).subject.key == key
    assert only(fleet).subject.title == "shop-web-1:/cache"
    learn(fleet, listed(HOST, cache("cd" * 32)))
    assert only(fleet).subject.key == key
    left = a_volume(ANONYMOUS, is_anonymous=True)
    learn(fleet, listed(HOST, an_inventory(volumes=(left,))))
    assert only(fleet).answer is EXCLUDED


@pytest.mark.parametrize(
    ("bind", "answer"),
    [
        (a_bind("/var/run/docker.sock"), EXCLUDED),
        (a_bind("/run/dbus"), EXCLUDED),
        (a_bind("/proc", writable=False), EXCLUDED),
        (a_bind("/sys/fs/cgroup"), EXCLUDED),
        (a_bind("/etc/localtime", writable=False), EXCLUDED),
        (a_bind("/", writable=False), EXCLUDED),
        (a_bind("/"), NEVER),
        (a_bind("/srv/app.conf", writable=False, is_file=True), EXCLUDED),
        (a_bind("/srv/app.conf", is_file=True), NEVER),
        (a_bind("/srv/app.conf", writable=False), NEVER),
        (a_bind("/srv/site", writable=False, is_file=False), NEVER),
        (a_bind("/process"), NEVER),
        (a_bind("/srv/etc/localtime"), NEVER),
    ],
)
def test_parts_of_the_system_and_single_files_that_are_only_read_need_no_backup(bind: Any, answer: Answer) -> None:
    told = only(a_fleet(an_inventory(a_container("web", bind))))
    assert told.answer is answer
    assert told.because


def test_a_file_that_one_container_writes_is_data_whoever_only_reads_it() -> None:
    reader = a_container("web", a_bind("/srv/app.db", writable=False, is_file=True))
    writer = a_container("db", a_bind("/srv/app.db", is_file=True))
    assert only(a_fleet(an_inventory(reader, writer))).answer is NEVER


def test_a_label_excludes_with_its_reason_and_a_shared_volume_only_if_all_say_so() -> None:
    labels = (("lastgood.exclude", "made anew at each start"),)
    one = a_container("web", of_volume("cache"), labels=labels)
    told = only(a_fleet(an_inventory(one)))
    assert (told.answer, told.because) == (
        EXCLUDED,
        "Its label lastgood.exclude says so: made anew at each start.",
    )
    assert only(a_fleet(an_inventory(one, a_container("db", of_volume("cache"))))).answer is NEVER
    on_volume = a_volume("cache", labels=(("lastgood.exclude", "true"),))
    told = only(a_fleet(an_inventory(a_container("db", of_volume("cache")), volumes=(on_volume,))))
    assert (told.answer, told.because) == (EXCLUDED, "Its label lastgood.exclude says so.")
    off = replace(one, labels=(("lastgood.exclude", "false"),))
    assert only(a_fleet(an_inventory(off))).answer is NEVER


def test_a_persons_word_excludes_says_who_and_can_be_taken_back() -> None:
    fleet = a_fleet(an_inventory(a_container("web", a_bind("/srv/shop"))))
    told: dict[str, Any] = {"at": NOW, "origin": "test", "host_id": HOST.id, "subject": "bind:/srv/shop"}
    learn(fleet, fact.SubjectExcluded(**told, reason="a mirror of elsewhere", by="ann"))
    assert (only(fleet).answer, only(fleet).because, only(fleet).excluded_by) == (
        EXCLUDED,
        "a mirror of elsewhere",
        "ann",
    )
    learn(fleet, listed(HOST, an_inventory(a_container("db", a_bind("/srv/shop")))))
    assert only(fleet).answer is EXCLUDED
    learn(fleet, fact.SubjectExcluded(**told, reason=None, by="bob"))
    assert only(fleet).answer is NEVER


@pytest.mark.parametrize(
    ("state", "answer"),
    [(ContainerState.RUNNING, BACKED_UP), (ContainerState.EXITED, NEVER), (ContainerState.CREATED, NEVER)],
)
def test_a_volume_that_is_mounted_only_while_it_is_used_is_empty_to_a_backup_otherwise(
    state: ContainerState, answer: Answer
) -> None:
    volume = a_volume("nfs", is_mounted_on_demand=True)
    inventory = an_inventory(a_container("web", of_volume("nfs"), state=state), volumes=(volume,))
    assert only(a_fleet(inventory, of(VOLUMES))).answer is answer


def test_paths_of_an_engine_on_another_machine_are_covered_by_nothing_here() -> None:
    fleet = a_fleet(an_inventory(SHOP), of("/"), local=False)
    assert answers(fleet) == {"/srv/shop": NEVER, "shop_data": NEVER}
    assert "another machine" in coverage(fleet, HOST.id)[0].because


OFFEN = a_container("backup", of_volume("shop_data", "/backup/shop"), image="offen/docker-volume-backup:v2")


def test_what_offen_has_mounted_below_its_folder_is_seen_and_not_proven() -> None:
    archive = a_bind("/mnt/archive", "/archive")
    told = a_fleet(an_inventory(SHOP, replace(OFFEN, mounts=(*OFFEN.mounts, archive))))
    assert answers(told) == {"shop_data": SEEN, "/srv/shop": NEVER, "/mnt/archive": EXCLUDED}
    seen = coverage_of(told.view(), HOST.id, "volume:shop_data")
    assert seen is not None
    assert seen.because == "shop-backup-1 (docker-volume-backup) has it at /backup/shop. Seen, not proven."
    assert seen.last_good_at is None


def test_a_backup_tool_that_does_not_run_or_takes_another_folder_backs_nothing_up() -> None:
    stopped = replace(OFFEN, state=ContainerState.EXITED)
    assert answers(a_fleet(an_inventory(SHOP, stopped)))["shop_data"] is NEVER
    elsewhere = replace(OFFEN, labels=(("setting.BACKUP_SOURCES", "/other"),))
    assert answers(a_fleet(an_inventory(SHOP, elsewhere)))["shop_data"] is NEVER


def labelled(**labels: str) -> Container:
    told = tuple((name.replace("__", "-").replace("_", "."), value) for name, value in labels.items())
    return a_container("db", of_volume("shop_data"), a_bind("/srv/shop"), labels=told)


def tool(image: str = "ghcr.io/lawndoc/stack-back:1.4", project: str = "shop", **settings: str) -> Container:
    told = tuple((f"setting.{name}", value) for name, value in settings.items())
    return a_container("backup", image=image, project=project, labels=told)


@pytest.mark.parametrize(
    ("container", "helper", "seen"),
    [
        (labelled(stack__back_volumes="true"), tool(), {"shop_data", "/srv/shop"}),
        (labelled(stack__back_volumes="True"), tool(EXCLUDE_BIND_MOUNTS="1"), {"shop_data"}),
        (labelled(stack__back_volumes="true", stack__back_volumes_include="data"), tool(), {"shop_data"}),
        (labelled(stack__back_volumes="true", stack__back_volumes_exclude="/srv"), tool(), {"shop_data"}),
        (labelled(stack__back_postgres="true"), tool(EXCLUDE_BIND_MOUNTS="1"), {"shop_data", "/srv/shop"}),
        (labelled(), tool(INCLUDE_ALL_VOLUMES="true"), {"shop_data", "/srv/shop"}),
        (labelled(stack__back_volumes="false"), tool(INCLUDE_ALL_VOLUMES="true"), set()),
        (labelled(stack__back_volumes="true"), tool(project="other"), set()),
        (
            labelled(stack__back_volumes="true"),
            tool(project="other", INCLUDE_ALL_COMPOSE_PROJECTS="true"),
            {"shop_data", "/srv/shop"},
        ),
        (labelled(stack__back_volumes="true"), tool("zettaio/restic-compose-backup"), set()),
        (
            labelled(restic__compose__backup_volumes="true"),
            tool("zettaio/restic-compose-backup:0.7"),
            {"shop_data", "/srv/shop"},
        ),
    ],
)
def test_labels_of_compose_tools_mean_what_their_tool_makes_of_them(
    container: Container, helper: Container, seen: set[str]
) -> None:
    told = answers(a_fleet(an_inventory(container, helper)))
    assert {title for title, answer in told.items() if answer is SEEN} == seen


def test_a_label_without_a_container_of_its_tool_is_told_and_counts_for_nothing() -> None:
    told = coverage(a_fleet(an_inventory(labelled(stack__back_volumes="true"))), HOST.id)
    assert {one.answer for one in told} == {NEVER}
    assert told[0].because == ("shop-db-1 is labelled for stack-back, but no container of that runs in its project.")


def test_uncovered_places_are_counted_and_a_host_without_an_engine_has_no_count() -> None:
    fleet = a_fleet(an_inventory(SHOP, OFFEN), of("/home"))
    assert uncovered(fleet.view(), HOST.id) == 1
    assert uncovered(Fleet(), HOST.id) is None
    other = a_host("web-2")
    put_host(fleet, other)
    down = an_engine(state=EngineState.DOWN)
    learn(fleet, fact.EngineReported(at=NOW, origin="test", host_id=other.id, seen_at=NOW, engine=down))
    assert uncovered(fleet.view(), other.id) is None
    assert coverage(fleet.view(), other.id) == []


def test_a_change_of_a_source_touches_its_own_host_alone() -> None:
    source = of("/srv")
    fleet = a_fleet(an_inventory(SHOP), source)
    other = a_host("web-2")
    put_host(fleet, other)
    put_inventory(fleet, other, an_inventory(SHOP))
    changes = learn(fleet, fact.RunFinished(at=NOW, origin="test", run=a_run(source, NOW + timedelta(hours=1))))
    assert touched(fleet, changes) == {HOST.id}


def test_a_volume_that_its_driver_shows_nowhere_is_covered_by_nothing() -> None:
    volume = Volume(name="cloud", mountpoint="", driver="rexray", is_mounted_on_demand=True)
    mount = of_volume("cloud", source="")
    told = only(a_fleet(an_inventory(a_container("web", mount), volumes=(volume,)), of("/")))
    assert (told.answer, "no path" in told.because) == (NEVER, True)


def test_a_host_full_of_backup_tools_is_looked_at_in_no_more_than_its_share_of_time() -> None:
    label = ("restic-compose-backup.volumes", "true")
    containers = [
        a_container(
            "backup",
            a_bind(f"/srv/{number}"),
            project=f"p{number}",
            image="zettaio/restic-compose-backup:0.7",
            labels=(label,),
        )
        for number in range(3_000)
    ]
    began = process_time()
    subjects = subjects_of(an_inventory(*containers), an_engine())
    assert process_time() - began < 3.0, "each tool is asked of each place only if it may have it"
    assert len(subjects) == 3_000
    assert subjects[0].seen_by == "p0-backup-1 (restic-compose-backup) takes the volumes of p0-backup-1."

"""Kept pages, after whatever happened, are byte for byte the pages that are made from nothing.

Random stories go through learn, presence and the real watch with a turned clock; after each step every format, shard
and library is compared, parsed by strict parsers, and looked through by a checker of our own.
"""

from __future__ import annotations

import asyncio
import random
import zlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lastgood.fleet import presence
from lastgood.fleet.changes import Changes
from lastgood.fleet.learn import Unlearnable, learn
from lastgood.metrics import VOCABULARIES
from lastgood.metrics.family import Histogram
from lastgood.metrics.pack import PACKER, Packer
from lastgood.metrics.page import Wanted, shard_of
from lastgood.metrics.text import Format
from lastgood.model import fact
from lastgood.model.collected import CollectedRepository
from lastgood.model.docker import ContainerState, EngineState
from lastgood.model.host import Host
from lastgood.model.job import Outcome
from lastgood.model.stack import Deploy, StackAction
from lastgood.service.watch import Watch
from tests.builders import a_host, a_repository, a_source, an_id
from tests.collect.tiny import STORE, a_group
from tests.dock import a_bind, a_container, an_engine, an_inventory, listed
from tests.fleet.stories import Story
from tests.metrics.checker import faults
from tests.metrics.expectation import Key, Samples, key, parsed, repaired
from tests.metrics.fleets import AWKWARD_NAMES
from tests.metrics.steady import NAMES, PLAIN, Steady, from_nothing, unpacked

BEGIN = datetime(2026, 3, 28, 23, 0, tzinfo=UTC)  # a few hours before a change of clocks
SHARDS = 3
HOSTILE = (*AWKWARD_NAMES, "100% %d %s", "%", "{", '"', "\\", 'a"} 1\n# EOF\n', "x" * 3000)


class Life:
    """A story with its watch, and three ways to keep its pages; all is told to all of them."""

    def __init__(self, seed: int) -> None:
        self.story = Story(seed, BEGIN)
        self.fleet = self.story.fleet
        self.watch = Watch(self.fleet, self._take, lambda: self.story.now, told=self._told)
        self.kept = (
            Steady(self.fleet, rows_a_part=3),
            Steady(self.fleet, packer=Packer(zlib)),
            Steady(self.fleet, shards=SHARDS, rows_a_part=2),
        )
        self.counters: Samples = {}
        self.added = 0

    def _told(self, changes: Changes) -> None:
        for kept in self.kept:
            kept.changed(changes)

    async def _take(self, facts: Sequence[fact.Fact]) -> None:
        for told in facts:
            self.tell(told)

    def tell(self, told: fact.Fact) -> None:
        try:
            changes = learn(self.fleet, told)
        except Unlearnable:
            return
        self.watch.changed(changes)

    async def begin(self) -> None:
        for told in self.story.opening():
            self.tell(told)
        await self.watch.start()

    async def step(self) -> None:
        rng, story = self.story.rng, self.story
        story.later(rng.choice([1, 90, 600]))
        for _ in range(rng.randrange(1, 5)):
            rng.choice(
                [self.any_fact, self.any_fact, self.presence, self.newcomer, self.rename, self.docker, self.server]
            )()
        if rng.random() < 0.5:
            await self.watch.tick()

    def any_fact(self) -> None:
        self.tell(self.story.fact())

    def presence(self) -> None:
        host_id, judging, now = self.story.rng.choice(self.story.hosts).id, self.fleet.judging, self.story.now
        if host_id not in self.fleet.hosts:
            return
        which = self.story.rng.randrange(4)
        if which == 0:
            presence.connected(judging, host_id, now)
        elif which == 1:
            presence.synced(judging, host_id, now, True)
        elif which == 2:
            presence.heard(judging, host_id, now, round_trip_seconds=self.story.rng.choice([None, 0.02, 3.0]))
            return  # a heartbeat is told to nobody
        else:
            presence.disconnected(judging, host_id)
        self.watch.presence_changed(host_id)

    def newcomer(self) -> None:
        """A host with a source; its ids sort anywhere."""
        self.added += 1
        story, now = self.story, self.story.now
        host = a_host(f"new-{self.added}", enrolled_at=now)
        repository = a_repository(f"new-{self.added}", added_at=now)
        story.hosts.append(host)
        story.repositories.append(repository)
        story.sources.append(a_source("data", host, repository, created_at=now, revised_at=now))
        self.tell(fact.HostEnrolled(at=now, origin="test", host=host))
        self.tell(fact.RepositoryConfigured(at=now, origin="test", repository=repository))
        self.tell(fact.SourceConfigured(at=now, origin="test", source=story.sources[-1]))

    def docker(self) -> None:
        """A host's engine is told of, goes, or somebody excludes what it holds; some of it is backed up."""
        rng, now, host = self.story.rng, self.story.now, self.story.rng.choice(self.story.hosts)
        paths = [path for source in self.story.sources for path in source.paths] + ["/elsewhere"]
        binds = [a_bind(f"{rng.choice(paths)}/{number}") for number in range(rng.randrange(4))]
        which = rng.randrange(5)
        if which == 4:
            self.deploy(host)
        elif which < 2:
            one = a_container("web", *binds, state=rng.choice(list(ContainerState)))
            self.tell(listed(host, an_inventory(one, a_container("alone", project=None)), now))
        elif which == 2:
            off = an_engine(state=rng.choice([EngineState.OFF, EngineState.DOWN]))
            self.tell(fact.EngineReported(at=now, origin="test", host_id=host.id, seen_at=now, engine=off))
        else:
            subject, reason = f"bind:{rng.choice(paths)}/0", rng.choice([None, "scratch"])
            self.tell(
                fact.SubjectExcluded(at=now, origin="test", host_id=host.id, subject=subject, reason=reason, by="ann")
            )

    def deploy(self, host: Host) -> None:
        """Of a few stacks on any hosts; some are forgotten."""
        rng, now = self.story.rng, self.story.now
        project = rng.choice(["shop", "blog"])
        if rng.random() < 0.2:
            self.tell(fact.StackForgotten(at=now, origin="test", host_id=host.id, project=project))
            return
        deploy = Deploy(
            id=an_id("deploy", rng.random()),
            action=rng.choice(list(StackAction)),
            outcome=rng.choice([Outcome.SUCCESS, Outcome.FAILED]),
            host_id=host.id,
            project=project,
            started_at=now,
            ended_at=now,
            duration_seconds=rng.choice([0.25, 4.0, 1000.0]),
            touched=True,
        )
        self.tell(fact.DeployFinished(at=now, origin="test", deploy=deploy))

    def server(self) -> None:
        """A server tells of some of its groups, or that nothing is new of all of them, or is forgotten."""
        rng, now = self.story.rng, self.story.now
        about = {"at": now, "origin": "test", "repository_id": STORE}
        report = CollectedRepository(
            id=STORE,
            name=rng.choice(["main", "other"]),
            url="pbs://x/main",
            tool="pbs",
            observed_at=now,
            used_bytes=rng.choice([None, 7]),
            available_bytes=9,
            full_at=rng.choice([None, now]),
            synced_at=rng.choice([None, now]),
        )
        self.tell(fact.RepositoryCollected(at=now, origin="test", collector="pbs", report=report, watch_seconds=300))
        groups = [a_group(f"vm/{number}", now - timedelta(hours=rng.randrange(30))) for number in range(4)]
        some = tuple(rng.sample(groups, rng.randrange(4)))
        self.tell(fact.SourcesCollected(**about, listed_at=now, sources=some, whole=rng.random() < 0.5))
        if rng.random() < 0.3:
            self.tell(fact.SourcesCollected(**about, listed_at=now, gone=("vm/0",), dropped=("vm/1",)))

    def rename(self) -> None:
        rng, now = self.story.rng, self.story.now
        name = rng.choice(HOSTILE)
        if rng.random() < 0.5:
            host = rng.choice(self.story.hosts)
            taken = {repaired(other.name) for other in self.fleet.hosts.values() if other.id != host.id}
            if repaired(name) not in taken:
                self.tell(fact.HostRenamed(at=now, origin="test", host_id=host.id, name=name))
        else:
            repository = replace(rng.choice(self.story.repositories), name=name)
            self.tell(fact.RepositoryConfigured(at=now, origin="test", repository=repository))

    # --- what must hold -------------------------------------------------------------------------------------------

    def check(self, names: tuple[str, ...] = NAMES) -> None:
        for format_ in Format:
            whole = from_nothing(self.fleet, format_, names)
            for kept in self.kept[:2]:
                assert kept.identity(format_, names) == whole
                assert unpacked(kept.gzip(format_, names)) == whole
                assert kept.gzip(format_, names) == kept.gzip(format_, names)
            spread = self.kept[2]
            for shard in (None, *range(SHARDS)):
                assert unpacked(spread.gzip(format_, names, shard)) == from_nothing(
                    self.fleet, format_, names, shard, SHARDS
                )

    def check_meaning(self) -> None:
        """What the strict parsers and our own checker make of the bodies, against the families themselves."""
        model = told_by_families(self.fleet)
        for format_ in Format:
            body = self.kept[0].identity(format_)
            assert faults(body.decode()) == []
            assert parsed(body, format_) == model
            shards = [parsed(self.kept[2].identity(format_, shard=shard), format_) for shard in range(SHARDS)]
            assert sum(map(len, shards)) == len(model)
            assert {series: value for shard in shards for series, value in shard.items()} == model
        counters = {s: value for s, value in model.items() if s[0].endswith(("_total", "_bucket", "_count", "_sum"))}
        gauges = ("rm_hosts_total", "rm_host_snapshot_count", "dockmesh_hosts_total")
        # Those that bear the name of a host or a stack go with it, and the name may come again.
        gauges += ("dockmesh_stacks_total", "dockmesh_containers_total", "dockmesh_agent_rtt", "dockmesh_deploy")
        fell = {
            series: (self.counters[series], value)
            for series, value in counters.items()
            if not series[0].startswith(gauges) and value < self.counters.get(series, value)
        }
        assert fell == {}
        self.counters = counters


def told_by_families(fleet: Any) -> Samples:
    """The values of all families, as a parser gives them, without any writer."""
    found: dict[Key, float] = {}
    for vocabulary in VOCABULARIES:
        for family in (*vocabulary.fleet, *vocabulary.own, *vocabulary.fixed):
            moment: Any = PLAIN if family in (*vocabulary.own, *vocabulary.fixed) else fleet
            for thing_id in family.entity.ids(moment):
                value = family.value(moment, thing_id)
                values = () if family.labels is None else family.labels(moment, thing_id)
                labels = {name: repaired(text) for name, text in zip(family.label_names, values, strict=True)}
                if isinstance(value, Histogram):
                    for at, bound in enumerate((*family.bounds, "+Inf")):
                        edge = {"le": f"{bound}"}
                        found[key(f"{family.name}_bucket", labels | edge)] = float(sum(value.counts[: at + 1]))
                    found[key(f"{family.name}_count", labels)] = float(sum(value.counts))
                    found[key(f"{family.name}_sum", labels)] = float(value.sum)
                elif value is not None:
                    found[key(family.name, labels)] = float(value)
    return found


async def live(seed: int, steps: int) -> None:
    life = Life(seed)
    chosen = random.Random(seed)
    life.check(("rm",) if seed % 2 else NAMES)  # before anything is known; others begin in the middle
    await life.begin()
    for _ in range(steps):
        await life.step()
        life.check(tuple(name for name in NAMES if chosen.random() < 0.7))
    life.check()
    life.check_meaning()
    await life.step()
    life.check_meaning()


@given(seed=st.integers(0, 2**32))
@settings(max_examples=12, deadline=None)
def test_kept_pages_are_those_made_from_nothing_whatever_happened(seed: int) -> None:
    asyncio.run(live(seed, steps=12))


@pytest.mark.slow
@given(seed=st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_kept_pages_are_those_made_from_nothing_through_long_histories(seed: int) -> None:
    asyncio.run(live(seed, steps=40))


@given(seed=st.integers(0, 2**32), rows_a_part=st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_parts_split_and_merge_as_hosts_come_and_go(seed: int, rows_a_part: int) -> None:
    from lastgood.fleet.fleet import Fleet

    rng, fleet = random.Random(seed), Fleet()
    kept, names = Steady(fleet, rows_a_part=rows_a_part), ("rm",)
    crowd = [a_host(f"host-{number}") for number in range(40)]
    for _ in range(12):
        for host in rng.sample(crowd, rng.randrange(20)):
            told: fact.Fact = fact.HostRemoved(at=BEGIN, origin="test", host_id=host.id)
            if host.id not in fleet.hosts:
                told = fact.HostEnrolled(at=BEGIN, origin="test", host=host)
            kept.changed(learn(fleet, told))
        whole = from_nothing(fleet, Format.TEXT, names)
        assert kept.identity(Format.TEXT, names) == whole
        assert unpacked(kept.gzip(Format.OPENMETRICS, names)) == from_nothing(fleet, Format.OPENMETRICS, names)


def test_only_the_parts_of_what_changed_are_made_anew() -> None:
    from tests.builders import a_fleet

    fleet = a_fleet(1000)
    kept, wanted = Steady(fleet), Wanted(("rm",), Format.OPENMETRICS)
    first = kept.made(wanted)
    assert kept.made(wanted).body is first.body
    host_id = sorted(fleet.hosts)[500]
    fleet.judging.tell_online(host_id, False)
    kept.changed(Changes(hosts={host_id}))
    kept.reading.begin((), fleet)
    kept.reading.read(fleet, 10)
    assert kept.pages.apply(kept.reading.take(fleet)) == 1
    assert kept.made(wanted).body is not first.body
    kept.changed(Changes(hosts=set(fleet.hosts)))
    kept.reading.read(fleet, 2000)
    assert kept.pages.apply(kept.reading.take(fleet)) == 0, "told again, but nothing differs"


def test_both_formats_share_the_parts_of_gauges() -> None:
    from tests.builders import a_fleet

    kept = Steady(a_fleet(5000))
    bodies = [b"".join(kept.made(Wanted(("rm",), format_)).body.buffers) for format_ in Format]
    parts = kept.pages._parts["rm", "host"][0]
    assert all(parts.segment(column).packed in body for column in range(7) for body in bodies)


def test_the_shard_of_a_thing_is_fixed_for_ever() -> None:
    assert [shard_of(f"01JQ{number}", 5) for number in range(8)] == [1, 3, 4, 3, 1, 4, 3, 0]
    assert {shard_of(f"01JQ{number}", 1) for number in range(8)} == {0}
    counts = [sum(1 for n in range(6000) if shard_of(f"thing-{n}", 3) == shard) for shard in range(3)]
    assert all(1900 < count < 2100 for count in counts)


def test_the_checker_sees_what_others_overlook() -> None:
    good = '# TYPE h histogram\nh_bucket{le="1"} 1\nh_bucket{le="+Inf"} 2\nh_count 2\nh_sum 3\n'
    assert faults(good) == []
    assert faults(good.replace('h_bucket{le="+Inf"} 2\n', "")) != []
    assert faults(good.replace('le="1"} 1', 'le="1"} 3')) != []
    assert faults(good.replace("h_count 2", "h_count 3")) != []
    assert faults(good + good) != []
    assert faults("# TYPE a gauge\na 1\n# TYPE b gauge\nb 1\n# HELP a x\n") == ["the family a is told in pieces"]
    assert faults('# TYPE a gauge\na{x="1"} 1\na{x="1"} 2\n') == ["twice: 'a{x=\"1\"} 2'"]
    assert faults("# TYPE a gauge\nb 1\n") == ["b stands in the family a"]
    assert faults('# TYPE a gauge\na{x="\\q"} 1\n') != []


@pytest.mark.parametrize("packer", [PACKER, Packer(zlib)], ids=["fastest", "zlib"])
def test_before_the_first_evaluation_ages_are_absent(packer: Packer) -> None:
    from lastgood.fleet.fleet import Fleet

    fleet = Fleet()
    learn(fleet, fact.HostEnrolled(at=BEGIN, origin="test", host=a_host()))
    presence.connected(fleet.judging, a_host().id, BEGIN)
    kept = Steady(fleet, packer=packer)
    assert b"last_seen_seconds{" not in kept.identity(Format.TEXT)
    fleet.judging.evaluated_at = BEGIN + timedelta(seconds=12.9)
    assert b'dockmesh_agent_last_seen_seconds{host="web-1"} 12\n' in kept.identity(Format.TEXT)

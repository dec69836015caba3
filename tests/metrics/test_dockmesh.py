"""``dockmesh_*`` as its reference documents it, and what each family says when hosts, stacks and jobs come and go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from lastgood.fleet import presence
from lastgood.fleet.fleet import Fleet
from lastgood.fleet.learn import learn
from lastgood.metrics import dockmesh
from lastgood.metrics.family import Family, Type
from lastgood.metrics.text import Format
from lastgood.model import fact
from lastgood.model.docker import ContainerState, Engine, EngineState
from lastgood.model.host import Host
from lastgood.model.job import Outcome
from lastgood.model.stack import Deploy, StackAction
from lastgood.service.watch import Watch
from tests.builders import NOW, a_fleet, a_host, a_repository, a_run, a_source, an_id
from tests.dock import a_container, an_engine, an_inventory, listed
from tests.metrics.expectation import Samples, key, parsed
from tests.metrics.steady import Steady

DEPLOY_EDGES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
TRIP_EDGES = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10)

DOCUMENTED: dict[str, tuple[Type, tuple[str, ...], tuple[float, ...]]] = {
    "dockmesh_hosts_total": (Type.GAUGE, ("status",), ()),
    "dockmesh_stacks_total": (Type.GAUGE, ("host", "state"), ()),
    "dockmesh_containers_total": (Type.GAUGE, ("host", "state"), ()),
    "dockmesh_agent_last_seen_seconds": (Type.GAUGE, ("host",), ()),
    "dockmesh_deploy_duration_seconds": (Type.HISTOGRAM, ("stack", "result"), DEPLOY_EDGES),
    "dockmesh_backup_last_run_timestamp": (Type.GAUGE, ("job",), ()),
    "dockmesh_backup_last_duration_seconds": (Type.GAUGE, ("job",), ()),
    "dockmesh_api_requests_total": (Type.COUNTER, ("method", "path", "status"), ()),
    "dockmesh_audit_log_entries_total": (Type.COUNTER, ("action",), ()),
    "dockmesh_alerts_fired_total": (Type.COUNTER, ("severity", "rule"), ()),
    "dockmesh_agent_rtt_seconds": (Type.HISTOGRAM, ("host",), TRIP_EDGES),
}
"""The table of the reference; the bounds are those that its program sets, or the Go client's with five more."""

TOLD: dict[str, Any] = {"at": NOW, "origin": "test"}


def test_all_eleven_documented_families_are_there_with_their_types_labels_and_buckets() -> None:
    families: Sequence[Family[Any]] = dockmesh.VOCABULARY.families
    assert {f.name: (f.type, f.label_names, f.bounds) for f in families} == DOCUMENTED


class Scene:
    """A fleet with two hosts under a real watch; its page is kept as the hub keeps it."""

    def __init__(self) -> None:
        self.now, self.fleet = NOW, Fleet()
        self.kept = Steady(self.fleet)
        self.watch = Watch(self.fleet, self._take, lambda: self.now, told=self.kept.changed)
        self.web, self.db = a_host("web-1"), a_host("db-1")
        self.page: Samples = {}

    async def begin(self) -> Scene:
        for host in (self.web, self.db):
            self.tell(fact.HostEnrolled(**TOLD, host=host))
            self.connect(host)
        await self.watch.start()
        self.look()
        return self

    async def _take(self, facts: Sequence[fact.Fact]) -> None:
        for told in facts:
            self.tell(told)

    def tell(self, told: fact.Fact) -> None:
        self.watch.changed(learn(self.fleet, told))

    def connect(self, host: Host) -> None:
        presence.connected(self.fleet.judging, host.id, self.now)
        self.watch.presence_changed(host.id)

    def leave(self, host: Host) -> None:
        """Its agent goes, and is not heard for long enough."""
        presence.disconnected(self.fleet.judging, host.id)
        self.now += timedelta(seconds=91)
        self.watch.presence_changed(host.id)

    def deploy(self, host: Host, seconds: float, outcome: Outcome = Outcome.SUCCESS, project: str = "shop") -> None:
        self.now += timedelta(minutes=1)
        deploy = Deploy(
            id=an_id("deploy", host.id, self.now),
            action=StackAction.DEPLOY,
            outcome=outcome,
            host_id=host.id,
            project=project,
            started_at=self.now,
            ended_at=self.now,
            duration_seconds=seconds,
            touched=True,
        )
        self.tell(fact.DeployFinished(at=self.now, origin="test", deploy=deploy))

    def engine(self, host: Host, engine: Engine) -> None:
        self.tell(fact.EngineReported(**TOLD, host_id=host.id, seen_at=NOW, engine=engine))

    def look(self) -> None:
        """Every later question is about the page as it is now; both formats say the same."""
        self.page = parsed(self.kept.identity(Format.TEXT), Format.TEXT)
        assert parsed(self.kept.identity(Format.OPENMETRICS), Format.OPENMETRICS) == self.page

    def value(self, name: str, **labels: str) -> float | None:
        return self.page.get(key(f"dockmesh_{name}", labels))

    def rows(self, name: str, **labels: str) -> dict[str, float]:
        """Of one family, by the last of its labels."""
        wanted, last = labels.items(), DOCUMENTED[f"dockmesh_{name}"][1][-1]
        found = {frozenset(told): value for (held, told), value in self.page.items() if held == f"dockmesh_{name}"}
        return {dict(told)[last]: value for told, value in found.items() if wanted <= told}

    def hosts(self) -> dict[str, float]:
        return self.rows("hosts_total")


def shop(**changes: Any) -> Any:
    return an_inventory(a_container("web"), a_container("db", **changes))


# --- hosts ----------------------------------------------------------------------------------------------------------


def test_all_three_host_states_are_told_before_there_is_any_host() -> None:
    kept = Steady(Fleet())
    page = parsed(kept.identity(Format.TEXT), Format.TEXT)
    for status in ("online", "offline", "degraded"):
        assert page[key("dockmesh_hosts_total", {"status": status})] == 0


async def test_a_host_counts_once_and_a_degraded_one_is_online_elsewhere() -> None:
    scene = await Scene().begin()
    assert scene.hosts() == {"online": 2, "offline": 0, "degraded": 0}
    scene.engine(scene.web, an_engine(state=EngineState.SILENT))
    scene.look()
    assert scene.hosts() == {"online": 1, "offline": 0, "degraded": 1}
    assert scene.page["rm_hosts_online", frozenset()] == 2
    scene.leave(scene.web)
    scene.look()
    assert scene.hosts() == {"online": 1, "offline": 1, "degraded": 0}
    scene.connect(scene.web)
    scene.look()
    assert scene.hosts() == {"online": 1, "offline": 0, "degraded": 1}
    scene.tell(fact.HostRemoved(**TOLD, host_id=scene.web.id))
    scene.look()
    assert scene.hosts() == {"online": 1, "offline": 0, "degraded": 0}


@pytest.mark.parametrize(
    ("engine", "degraded"),
    [
        (an_engine(), 0),
        (an_engine(state=EngineState.DOWN), 1),
        (an_engine(state=EngineState.SILENT), 1),
        (an_engine(clock_offset_seconds=60), 0),
        (an_engine(clock_offset_seconds=-61), 1),
        (an_engine(state=EngineState.OFF), 0),
    ],
)
async def test_an_engine_that_does_not_answer_or_whose_clock_is_off_makes_its_host_degraded(
    engine: Engine, degraded: int
) -> None:
    scene = await Scene().begin()
    scene.engine(scene.web, engine)
    scene.look()
    assert scene.hosts() == {"online": 2 - degraded, "offline": 0, "degraded": degraded}
    scene.engine(scene.web, an_engine())
    scene.look()
    assert scene.hosts()["degraded"] == 0


@pytest.mark.parametrize(("offset", "degraded"), [(60.0, 0), (-60.0, 0), (61.0, 1), (-61.0, 1)])
async def test_a_clock_that_is_off_by_more_than_a_minute_makes_a_host_degraded(offset: float, degraded: int) -> None:
    scene = await Scene().begin()
    if presence.heard(scene.fleet.judging, scene.web.id, NOW, clock_offset_seconds=offset):
        scene.watch.presence_changed(scene.web.id)
    scene.look()
    assert scene.hosts()["degraded"] == degraded


async def test_an_agent_that_refuses_its_orders_makes_its_host_degraded_until_it_takes_them() -> None:
    scene = await Scene().begin()
    for refuses in (True, False):
        assert presence.ordered(scene.fleet.judging, scene.web.id, refuses=refuses)
        assert not presence.ordered(scene.fleet.judging, scene.web.id, refuses=refuses), "told before"
        scene.watch.presence_changed(scene.web.id)
        scene.look()
        assert scene.hosts()["degraded"] == refuses


async def test_round_trips_are_counted_from_every_answer_and_go_with_their_host() -> None:
    scene = await Scene().begin()
    assert not [name for name, _ in scene.page if name.startswith("dockmesh_agent_rtt")], "nothing was measured"
    for seconds in (0.01, 0.011, 12.0):
        presence.heard(scene.fleet.judging, scene.web.id, NOW, round_trip_seconds=seconds)
    presence.disconnected(scene.fleet.judging, scene.web.id)
    scene.connect(scene.web)
    scene.look()
    edges = {edge: scene.value("agent_rtt_seconds_bucket", host="web-1", le=edge) for edge in ("0.01", "0.05", "10")}
    assert edges == {"0.01": 1, "0.05": 2, "10": 2}
    assert scene.value("agent_rtt_seconds_bucket", host="web-1", le="+Inf") == 3
    assert scene.value("agent_rtt_seconds_count", host="web-1") == 3
    assert scene.value("agent_rtt_seconds_sum", host="web-1") == pytest.approx(12.021)
    assert scene.value("agent_rtt_seconds_count", host="db-1") is None
    scene.tell(fact.HostRemoved(**TOLD, host_id=scene.web.id))
    scene.look()
    assert not [labels for _, labels in scene.page if ("host", "web-1") in labels]


# --- stacks and containers ------------------------------------------------------------------------------------------


async def test_containers_are_counted_in_all_seven_states_of_the_engine() -> None:
    scene = await Scene().begin()
    everything = [a_container(state, project=None, state=state) for state in ContainerState]
    scene.tell(listed(scene.web, an_inventory(*everything, a_container("web"))))
    scene.look()
    assert scene.rows("containers_total", host="web-1") == {
        state: 1 + (state == "running") for state in ContainerState
    }
    scene.tell(listed(scene.web, an_inventory()))
    scene.look()
    assert scene.rows("containers_total", host="web-1") == dict.fromkeys(ContainerState, 0)


async def test_only_states_that_a_stack_is_in_have_rows_so_that_asking_for_errors_shows_those_alone() -> None:
    scene = await Scene().begin()
    scene.tell(listed(scene.web, shop()))
    scene.look()
    assert scene.rows("stacks_total", host="web-1") == {"running": 1}
    scene.tell(listed(scene.web, shop(state=ContainerState.DEAD)))
    scene.look()
    assert scene.rows("stacks_total", host="web-1") == {"error": 1}
    scene.tell(listed(scene.web, shop(state=ContainerState.CREATED)))
    scene.look()
    assert scene.rows("stacks_total", host="web-1") == {"partial": 1}


async def test_stacks_of_a_host_that_is_away_are_unknown_and_its_containers_stay_as_they_were() -> None:
    scene = await Scene().begin()
    scene.tell(listed(scene.web, an_inventory(a_container("web"), a_container("a", project="blog"))))
    scene.leave(scene.web)
    scene.look()
    assert scene.rows("stacks_total", host="web-1") == {"unknown": 2}
    assert scene.rows("containers_total", host="web-1")["running"] == 2
    scene.connect(scene.web)
    scene.look()
    assert scene.rows("stacks_total", host="web-1") == {"running": 2}
    scene.engine(scene.web, an_engine(state=EngineState.DOWN))
    scene.look()
    assert scene.rows("stacks_total", host="web-1") == {"unknown": 2}


async def test_hosts_without_an_engine_have_no_rows_for_stacks_and_containers() -> None:
    scene = await Scene().begin()
    scene.tell(listed(scene.web, shop()))
    scene.look()
    assert scene.rows("containers_total", host="db-1") == scene.rows("stacks_total", host="db-1") == {}
    scene.engine(scene.web, an_engine(state=EngineState.OFF))
    scene.look()
    assert scene.rows("containers_total") == scene.rows("stacks_total") == {}


async def test_rows_bear_the_name_that_a_host_has_now() -> None:
    scene = await Scene().begin()
    scene.tell(listed(scene.web, shop()))
    scene.deploy(scene.db, 2.0, Outcome.FAILED)
    scene.tell(fact.HostRenamed(**TOLD, host_id=scene.web.id, name="new"))
    scene.tell(fact.HostRenamed(**TOLD, host_id=scene.db.id, name="old"))
    scene.look()
    assert scene.rows("stacks_total", state="running") == {"running": 1}
    assert scene.value("stacks_total", host="new", state="running") == 1
    assert scene.value("stacks_total", host="old", state="unknown") == 1, "of its engine nothing is known"
    assert not [labels for _, labels in scene.page if ("host", "web-1") in labels]


async def test_a_deploy_that_fails_is_an_error_until_the_next_one_is_well() -> None:
    scene = await Scene().begin()
    scene.tell(listed(scene.web, shop()))
    scene.deploy(scene.web, 2.0, Outcome.FAILED)
    scene.look()
    assert scene.rows("stacks_total", host="web-1") == {"error": 1}
    scene.deploy(scene.web, 2.0)
    scene.look()
    assert scene.rows("stacks_total", host="web-1") == {"running": 1}


async def test_deploys_are_told_by_the_name_of_their_stack_and_go_with_the_last_host_of_it() -> None:
    scene = await Scene().begin()
    scene.deploy(scene.web, 2.5)
    scene.deploy(scene.db, 45.0)
    scene.deploy(scene.db, 700.0, Outcome.FAILED)
    scene.look()
    assert scene.value("deploy_duration_seconds_count", stack="shop", result="ok") == 2
    assert scene.value("deploy_duration_seconds_sum", stack="shop", result="ok") == 47.5
    assert scene.value("deploy_duration_seconds_bucket", stack="shop", result="ok", le="2.5") == 1
    assert scene.value("deploy_duration_seconds_bucket", stack="shop", result="ok", le="60") == 2
    assert scene.value("deploy_duration_seconds_bucket", stack="shop", result="error", le="600") == 0
    assert scene.value("deploy_duration_seconds_count", stack="shop", result="error") == 1
    scene.tell(fact.HostRemoved(**TOLD, host_id=scene.db.id))
    scene.look()
    assert scene.value("deploy_duration_seconds_count", stack="shop", result="ok") == 1
    assert scene.value("deploy_duration_seconds_count", stack="shop", result="error") is None
    scene.tell(fact.StackForgotten(**TOLD, host_id=scene.web.id, project="shop"))
    scene.look()
    assert not [labels for _, labels in scene.page if ("stack", "shop") in labels]


# --- jobs -----------------------------------------------------------------------------------------------------------


async def test_a_job_says_zero_until_its_first_good_backup_and_goes_when_nobody_wants_it_any_more() -> None:
    scene = await Scene().begin()
    vault = a_repository()
    source = a_source("home", scene.web, vault, created_at=NOW, revised_at=NOW)
    scene.tell(fact.RepositoryConfigured(**TOLD, repository=vault))
    scene.tell(fact.SourceConfigured(**TOLD, source=source))
    scene.look()
    assert scene.rows("backup_last_run_timestamp") == {"web-1/home": 0}
    assert scene.rows("backup_last_duration_seconds") == {}
    for minutes, outcome in ((1, Outcome.FAILED), (2, Outcome.PARTIAL), (3, Outcome.SUCCESS), (4, Outcome.FAILED)):
        scene.now = NOW + timedelta(minutes=minutes)
        run = a_run(source, scene.now, outcome, duration_seconds=float(minutes))
        scene.tell(fact.RunFinished(at=scene.now, origin="test", run=run))
        scene.look()
        good_at: datetime | None = NOW + timedelta(minutes=3) if minutes >= 3 else None
        assert scene.rows("backup_last_run_timestamp") == {"web-1/home": good_at.timestamp() if good_at else 0}
        assert scene.rows("backup_last_duration_seconds") == ({"web-1/home": 3} if good_at else {})
    scene.tell(fact.SourceConfigured(**TOLD, source=replace(source, archived_by="ann")))
    scene.look()
    assert scene.rows("backup_last_run_timestamp") == scene.rows("backup_last_duration_seconds") == {}


async def test_no_two_jobs_are_called_the_same_whatever_their_hosts_are_called() -> None:
    scene = await Scene().begin()
    vault = a_repository()
    scene.tell(fact.RepositoryConfigured(**TOLD, repository=vault))
    names = (("a", "b/c"), ("a/b", "c"), ("a%2Fb", "c"), ("a", "c"))
    hosts = {name: a_host(name) for name, _ in names}
    for host in hosts.values():
        scene.tell(fact.HostEnrolled(**TOLD, host=host))
    for host_name, name in names:
        scene.tell(fact.SourceConfigured(**TOLD, source=a_source(name, hosts[host_name], vault)))
    scene.look()
    assert set(scene.rows("backup_last_run_timestamp")) == {"a/b/c", "a%2Fb/c", "a%252Fb/c", "a/c"}


# --- cost -----------------------------------------------------------------------------------------------------------


def test_one_container_that_changes_makes_a_few_parts_anew_among_a_thousand_hosts() -> None:
    fleet = a_fleet(1000)
    hosts = list(fleet.hosts.values())
    for host in hosts:
        learn(fleet, listed(host, shop()))
    kept = Steady(fleet)
    kept.identity(Format.TEXT, ("dockmesh",))
    kept.changed(learn(fleet, listed(hosts[500], shop(state=ContainerState.EXITED, exit_code=1))))
    assert kept.reading.behind < 20
    kept.reading.read(fleet, 20)
    assert 0 < kept.pages.apply(kept.reading.take(fleet)) <= 3, "running, exited and error, each in one part"


def test_the_page_of_rm_is_the_same_whether_hosts_have_engines_or_not() -> None:
    plain, docked = a_fleet(5), a_fleet(5)
    for host in docked.hosts.values():
        learn(docked, listed(host, shop()))
    assert Steady(docked).identity(Format.TEXT, ("rm",)) == Steady(plain).identity(Format.TEXT, ("rm",))

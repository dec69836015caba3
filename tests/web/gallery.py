"""A fleet in which every state is to be seen, for tests of what pages show."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from lastgood.fleet.expect import expect
from lastgood.fleet.fleet import Fleet
from lastgood.model.alert import Severity
from lastgood.model.host import AgentInfo, Host, Presence
from lastgood.model.job import Outcome, Schedule
from lastgood.model.repository import Lock, Probe, Repository, RepositoryState
from lastgood.model.source import Evidence, Source, State
from tests.builders import (
    NOW,
    a_host,
    a_repository,
    a_run,
    a_run_start,
    a_source,
    an_alert,
    put_alert,
    put_host,
    put_repository,
    put_running,
    put_source,
    some_evidence,
    some_repository_evidence,
)
from tests.dock import a_bind, a_container, an_inventory, put_inventory

AWKWARD = "quo\"te' <b>&amp; \\back\nline \u202eright\u202c \ud800 \x00\x1b[31m"
LONG = "long " + "x" * 10_000

NIGHTLY = Schedule(cron="0 2 * * *", zone="Europe/Berlin")
HOURLY = Schedule(cron="15 * * * *", zone="UTC")
WEEKLY = Schedule(cron="30 3 * * sun", zone="Europe/Berlin")


def every_state() -> Fleet:
    """One source or more in each state, on four hosts, one of them away."""
    fleet = Fleet()
    fleet.judging.evaluated_at = NOW
    info = AgentInfo(
        agent_version="0.1.0", restic_version="0.16.4", os="Debian GNU/Linux 12", arch="x86_64", protocol=1
    )
    web, db, nas = (put_host(fleet, a_host(name, info=info)) for name in ("web-1", "db-1", "nas"))
    away = put_host(fleet, a_host("laptop", info=info), online=False)
    fleet.judging.presence[away.id] = Presence(
        seen_at=NOW - timedelta(days=4, hours=3), observed_at=NOW - timedelta(days=4, hours=3)
    )
    vault = put_repository(fleet, a_repository("vault", url="sftp:backup@vault.example:/srv/restic"))
    cloud = _down(fleet, a_repository("cloud", url="s3:https://s3.example/backups"))
    _good(fleet, web, vault)
    _troubled(fleet, web, db, nas, away, vault, cloud)
    for source in fleet.sources.values():
        if fleet.judging.states[source.id] is State.FAILED:
            put_alert(fleet, an_alert(source=source, message=f"The last backup of {source.name} on db-1 failed."))
    put_alert(
        fleet,
        an_alert(
            "backup_missed",
            Severity.WARNING,
            _named(fleet, "photos"),
            message="No good backup of photos came in time.",
        ),
    )
    put_inventory(fleet, web, an_inventory(a_container("proxy", a_bind("/srv/proxy"), project=None)))
    return fleet


def _good(fleet: Fleet, web: Host, vault: Repository) -> None:
    for name, schedule, hours, size in (
        ("etc", NIGHTLY, 10.5, 12_400_000),
        ("home", NIGHTLY, 10.2, 84_700_000_000),
        ("uploads", HOURLY, 0.6, 3_210_000_000),
    ):
        source = a_source(name, web, vault, schedule=schedule, paths=(f"/{name}", "/srv/" + name))
        due = NOW - timedelta(minutes=45) if schedule is HOURLY else NOW - timedelta(hours=11)
        run = a_run(source, NOW - timedelta(hours=hours), size_bytes=size, added_bytes=size // 400, due_at=due)
        evidence = some_evidence(run, snapshots=31, due_at=None, deadline_at=None)
        put_source(fleet, source, expect(source, evidence))
    home = _named(fleet, "home")
    put_running(fleet, a_run_start(home, NOW - timedelta(minutes=3)))


def _troubled(fleet: Fleet, web: Host, db: Host, nas: Host, away: Host, vault: Repository, cloud: Repository) -> None:
    def place(
        name: str, host: Host, state: State, evidence: Evidence, into: Repository = vault, **more: object
    ) -> Source:
        source = a_source(name, host, into, **({"schedule": NIGHTLY} | more))
        return put_source(fleet, source, evidence, state)

    def ran(name: str, host: Host, hours: float, outcome: Outcome = Outcome.SUCCESS, **more: object) -> Evidence:
        run = a_run(a_source(name, host), NOW - timedelta(hours=hours), outcome, **more)
        good = a_run(a_source(name, host), NOW - timedelta(hours=hours + 24))
        due = NOW - timedelta(hours=11)
        return replace(
            some_evidence(run), due_at=due, deadline_at=due + timedelta(hours=6), last_full=good, snapshots=14
        )

    wrong = "Wrong password or no key found; check the password file /etc/lastgood/cloud.key on db-1."
    place("postgres", db, State.FAILED, ran("postgres", db, 10, Outcome.FAILED, reason=wrong), cloud)
    mail = ran("mail", db, 9, Outcome.PARTIAL, reason="3 files could not be read.")
    place("mail", db, State.PARTIAL, replace(mail, deadline_at=NOW + timedelta(hours=1)))
    place("photos", nas, State.MISSED, ran("photos", nas, 34))
    nothing = Evidence(observed_at=NOW, due_at=NOW - timedelta(hours=11), deadline_at=NOW - timedelta(hours=5))
    place("music", nas, State.NEVER, nothing, cloud)
    late = ran("videos", nas, 26)
    place(
        "videos",
        nas,
        State.LATE,
        replace(late, due_at=NOW - timedelta(minutes=20), deadline_at=NOW + timedelta(hours=4)),
    )
    place("documents", away, State.UNKNOWN, replace(ran("documents", away, 107), observed_at=NOW - timedelta(days=4)))
    soon = Evidence(observed_at=NOW, due_at=NOW + timedelta(hours=13), deadline_at=NOW + timedelta(hours=19))
    place("containers", web, State.NEW, soon)
    place(
        "scratch",
        nas,
        State.PAUSED,
        ran("scratch", nas, 50),
        schedule=WEEKLY,
        paused_until=NOW + timedelta(days=3),
        paused_by="ann",
    )
    place("old-site", web, State.ARCHIVED, ran("old-site", web, 4000), archived_by="ann")


def _down(fleet: Fleet, repository: Repository) -> Repository:
    evidence = some_repository_evidence(
        probe=Probe.WRONG_PASSWORD,
        message="The password in /etc/lastgood/cloud.key does not open it.",
        observed_at=NOW - timedelta(minutes=7),
        size_bytes=None,
        locks=(
            Lock(id="4f" * 32, created_at=NOW - timedelta(hours=9), exclusive=True, hostname="db-1", pid=4711),
            Lock(id="a0" * 32, created_at=NOW - timedelta(minutes=9), exclusive=False, hostname="nas", pid=None),
        ),
    )
    return put_repository(fleet, repository, evidence, RepositoryState.DOWN)


def _named(fleet: Fleet, name: str) -> Source:
    return next(source for source in fleet.sources.values() if source.name == name)

"""The fleets whose whole pages are kept as golden files: empty, twelve hosts that differ, and awkward names."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from lastgood.fleet.fleet import Fleet, FleetView
from lastgood.metrics.own_facts import (
    AnswerFacts,
    AuditFacts,
    Build,
    ChannelFacts,
    CollectorFacts,
    IngestFacts,
    OwnFacts,
    ProcessFacts,
    ScrapeFacts,
    StoreFacts,
)
from lastgood.model.alert import Severity
from lastgood.model.job import Outcome, RunKind, Status
from lastgood.model.repository import NO_REPOSITORY_EVIDENCE, Lock, Probe, RepositoryState
from lastgood.model.source import State
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
from tests.metrics.docked import put_docker

OWN = OwnFacts(
    build=Build(version="1.2.3", commit="0123abcd", python="3.11.2", compression="isal 1.7.2"),
    agents_connected=11,
    collectors={
        "restic": CollectorFacts(success=True, duration_seconds=1.25, last_success_at=NOW),
        "slow one": CollectorFacts(success=False, duration_seconds=60.0, last_success_at=NOW - timedelta(days=1)),
        "unborn": CollectorFacts(),
    },
    scrape=ScrapeFacts(
        answers={
            ("openmetrics", "gzip"): AnswerFacts(
                requests=9, bytes=36_864, wait_seconds=0.125, parts_rendered=70, parts_reused=830
            )
        },
        parts_ahead=44,
        refused=2,
        overloaded=1,
        failures=0,
        duration_seconds=0.0625,
        size_bytes=4096,
    ),
    channels={
        "mail": ChannelFacts(undelivered=0, delivered=12, failures=0, given_up=0),
        'chat "ops"': ChannelFacts(undelivered=3, delivered=40, failures=17, given_up=2),
    },
    ingest=IngestFacts(facts=1000, duplicates=3, quarantined=1),
    store=StoreFacts(commits=250, commit_seconds=1.5, failures=0, queue_depth=2),
    audit=AuditFacts(
        entries={"auth.sign_in": 4, "backup.run": 17, "host.remove": 0},
        seq=42,
        at=NOW,
        failures=1,
        sent_at=NOW - timedelta(hours=3),
        send_failures=2,
    ),
    requests={"GET 200 /api/v1/hosts/{host_id}": 12, "other 405 unmatched": 1, "GET 101 /ws/agent": 3},
    alerts_fired={"critical/backup_failed": 2, "warning/host_offline": 0},
    quarantine_rows=1,
    evaluated_at=NOW,
    metrics_public=False,
    process=ProcessFacts(
        cpu_seconds=12.34,
        resident_bytes=50_000_000,
        virtual_bytes=400_000_000,
        open_files=23,
        most_files=1_048_576,
        started_seconds=1_773_400_000.25,
    ),
)

NEWBORN = OwnFacts(build=Build(version="1.2.3"))

FULL = "full of \"quotes\", \\backslashes\\, \nlines,\ttabs, \x00 and \r, a lone \udce9, {braces}, # EOF, ' blanks '"
LONG = "10 kB " + '"\\\n\u00e9 ' * 1_666
"""Of a host alone, or the golden file would be mostly this."""

AWKWARD_NAMES = (
    FULL,
    'quote "',
    "trailing backslash \\",
    "\\n is not a line end",
    "line\nend",
    "\n",
    "lone \ud800 and \udfff",
    "\N{PILE OF POO} \N{COMBINING ACUTE ACCENT} \u2028 \x85 \ufeff",
    " ",
    "",
    'host="x"} 1\nrm_hosts_total 9',
)


def empty() -> FleetView:
    """A hub that nobody has enrolled with, before its first evaluation."""
    return Fleet().view()


def twelve_hosts() -> FleetView:
    """A host for each thing that can differ on a page."""
    fleet = Fleet()
    fleet.judging.evaluated_at = NOW
    upkeep = ((RunKind.CHECK, NOW - timedelta(days=3)), (RunKind.PRUNE, NOW - timedelta(days=10)))
    shared = put_repository(fleet, a_repository("shared"), some_repository_evidence(snapshots=40, upkeep=upkeep))
    _every_outcome(fleet)
    _every_repository(fleet)

    several = put_host(fleet, a_host("host-10-several"))
    for name, repository in (("a", shared), ("b", shared), ("c", put_repository(fleet, a_repository("own")))):
        source = a_source(name, several, repository, target=timedelta(hours=26) if name == "c" else None)
        put_source(fleet, source, some_evidence(a_run(source)))
    running = a_source("running", several, shared)
    put_source(fleet, running, some_evidence(), State.NEW)
    put_running(fleet, a_run_start(running))

    silent = put_host(fleet, a_host("host-11-silent"), online=False)
    source = a_source("data", silent, shared)
    put_source(fleet, source, some_evidence(a_run(source), observed_at=NOW - timedelta(hours=3)), State.UNKNOWN)
    put_alert(fleet, an_alert("backup_unknown", Severity.WARNING, source))

    put_host(fleet, a_host("host-12-bare"))
    for kind, status, seconds in (
        (RunKind.BACKUP, Status.SUCCEEDED, 0.25),
        (RunKind.BACKUP, Status.SUCCEEDED, 1.0),
        (RunKind.BACKUP, Status.SUCCEEDED, 600.5),
        (RunKind.BACKUP, Status.FAILED, 90_000.0),
        (RunKind.UPDATE, Status.CANCELLED, 0.0),
    ):
        fleet.durations.observe(kind, status, seconds)
    put_docker(fleet)
    return fleet.view()


def _every_outcome(fleet: Fleet) -> None:
    """Hosts 1 to 5, and 9 whose source accepts what is partial."""
    rows = (
        (1, Outcome.SUCCESS, State.GOOD),
        (2, Outcome.UNCHANGED, State.GOOD),
        (3, Outcome.PARTIAL, State.PARTIAL),
        (4, Outcome.FAILED, State.FAILED),
        (5, Outcome.LOST, State.FAILED),
        (9, Outcome.PARTIAL, State.GOOD),
    )
    for number, outcome, state in rows:
        host = put_host(fleet, a_host(f"host-{number:02}-{outcome}"))
        repository = put_repository(fleet, a_repository(f"vault-{number:02}"))
        source = a_source("data", host, repository, accept_partial=number == 9)
        evidence = some_evidence(a_run(source, outcome=outcome))
        if state is State.FAILED:
            good = a_run(source, NOW - timedelta(days=1, hours=10))
            evidence = replace(evidence, last_full=good, snapshots=6)
            put_alert(fleet, an_alert("backup_failed", Severity.CRITICAL, source))
        put_source(fleet, source, evidence, state)


def _every_repository(fleet: Fleet) -> None:
    """Hosts 6 to 8: never looked into, could not be made, out of reach but known."""
    lock = Lock(id="f" * 64, created_at=NOW, exclusive=True, hostname="elsewhere", pid=7)
    rows = (
        (6, NO_REPOSITORY_EVIDENCE, RepositoryState.UNKNOWN),
        (7, some_repository_evidence(probe=Probe.MISSING, init_failed=True, locks=None), RepositoryState.DOWN),
        (8, some_repository_evidence(probe=Probe.UNREACHABLE, size_bytes=None, locks=(lock,)), RepositoryState.DOWN),
    )
    for number, evidence, state in rows:
        host = put_host(fleet, a_host(f"host-{number:02}-repository"))
        repository = put_repository(fleet, a_repository(f"vault-{number:02}"), evidence, state)
        put_source(fleet, a_source("data", host, repository, schedule=None), some_evidence(), State.NEW)


def awkward() -> FleetView:
    """Every awkward text as a name of host, source and repository."""
    fleet = Fleet()
    fleet.judging.evaluated_at = NOW
    for name in AWKWARD_NAMES:
        host = put_host(fleet, a_host(name))
        repository = put_repository(fleet, a_repository(name))
        source = a_source(name, host, repository)
        put_source(fleet, source, some_evidence(a_run(source)))
    put_host(fleet, a_host(LONG))
    return fleet.view()

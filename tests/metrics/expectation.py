"""What a page must say of a moment, worked out without any family: plain loops over the model.

Samples are compared as parsed: (name, labels) -> value, labels without empty values, since those mean absent ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import product
from typing import Any

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from lastgood.fleet.fleet import FleetView
from lastgood.metrics.own_facts import OwnFacts
from lastgood.metrics.text import Format
from lastgood.model.job import RunKind
from lastgood.model.repository import Probe
from lastgood.model.source import last_good
from tests.metrics.docked import told_of_docker

Key = tuple[str, frozenset[tuple[str, str]]]
Samples = dict[Key, float]

EDGES = ((1, "1"), (5, "5"), (30, "30"), (60, "60"), (300, "300"), (1800, "1800"), (3600, "3600"))
EDGES = (*EDGES, (21600, "21600"), (86400, "86400"))
KINDS = ("backup", "forget", "prune", "check", "unlock", "restore", "diff", "init", "update")
STATUSES = ("succeeded", "failed", "cancelled")


def parsed(body: bytes, format_: Format) -> Samples:
    """Every sample of the body; two of one series are an error."""
    parse = parse_openmetrics if format_ is Format.OPENMETRICS else parse_text
    found: Samples = {}
    for family in parse(body.decode("utf-8")):
        for sample in family.samples:
            labels = dict(sample.labels)
            if "le" in labels:
                labels["le"] = _edge(labels["le"])
            series = key(sample.name, labels)
            assert series not in found, f"twice: {series}"
            found[series] = float(sample.value)
    return found


def _edge(text: str) -> str:
    return text if text == "+Inf" else text.removesuffix(".0")


def key(name: str, labels: dict[str, str]) -> Key:
    return name, frozenset((label, value) for label, value in labels.items() if value)


def repaired(text: str) -> str:
    """A name as a page may say it."""
    return "".join("\ufffd" if ("\ud800" <= c <= "\udfff") or (c < " " and c not in "\t\n") else c for c in text)


class _Page(Samples):
    def put(self, name: str, value: Any, /, **labels: str) -> None:
        if value is not None:
            series = key(name, {label: repaired(text) for label, text in labels.items()})
            assert series not in self, f"twice: {series}"
            self[series] = float(value)


def expected(view: FleetView, facts: OwnFacts) -> Samples:
    page = _Page()
    _rm(page, view)
    page.put("rm_build_info", 1, version=facts.build.version, commit=facts.build.commit, go_version="none")
    _sources(page, view)
    _repositories(page, view)
    _agents(page, view)
    told_of_docker(page.put, view, facts)
    _own(page, facts)
    return page


def _rm(page: _Page, view: FleetView) -> None:
    page.put("rm_hosts_total", len(view.hosts))
    page.put("rm_hosts_online", len([1 for is_online in view.online.values() if is_online]))
    for severity in ("info", "warning", "critical"):
        page.put("rm_active_alerts", _count(view, "severity", severity), severity=severity)
    for host in view.hosts.values():
        told = {"host_id": host.id, "host": host.name}
        page.put("rm_host_agent_online", view.online[host.id], **told)
        page.put("rm_host_open_alerts", _count(view, "host_id", host.id), **told)
        runs = [view.evidence[s.id].last_attempt for s in view.sources.values() if s.host_id == host.id]
        newest = max((run for run in runs if run), key=lambda run: run.ended_at, default=None)
        if newest is not None:
            accepts = view.sources[newest.source_id or ""].accept_partial
            good = newest.outcome in ("success", "unchanged") or (newest.outcome == "partial" and accepts)
            page.put("rm_host_last_backup_success", good, **told)
            page.put("rm_host_last_backup_timestamp_seconds", math.floor(newest.ended_at.timestamp()), **told)
        ids = {source.repository_id for source in view.sources.values() if source.host_id == host.id}
        looks = [view.repository_evidence[i] for i in ids]
        page.put("rm_host_repo_size_bytes", _sum(look.size_bytes for look in looks), **told)
        page.put("rm_host_snapshot_count", _sum(look.snapshots for look in looks), **told)
        status = "ready" if looks and all(look.identity for look in looks) else "unknown"
        if any(look.probe in (Probe.MISSING, Probe.WRONG_PASSWORD) for look in looks):
            status = "init_failed"
        page.put("rm_host_repo_status", 1, **told, status=status)
    _histogram(page, view)


def _histogram(page: _Page, view: FleetView) -> None:
    counted = {(str(kind), str(status)): counts for (kind, status), counts in view.durations.buckets.items()}
    sums = {(str(kind), str(status)): total for (kind, status), total in view.durations.sums.items()}
    for kind in KINDS:
        for status in STATUSES:
            counts, told = counted[kind, status], {"kind": kind, "status": status}
            for index, (_, edge) in enumerate(EDGES):
                page.put("rm_job_duration_seconds_bucket", sum(counts[: index + 1]), **told, le=edge)
            page.put("rm_job_duration_seconds_bucket", sum(counts), **told, le="+Inf")
            page.put("rm_job_duration_seconds_count", sum(counts), **told)
            page.put("rm_job_duration_seconds_sum", sums[kind, status], **told)


def _sources(page: _Page, view: FleetView) -> None:
    for source in view.sources.values():
        evidence, presence = view.evidence[source.id], view.presence[source.host_id]
        told = {
            "source": source.id,
            "tool": "restic",
            "host": view.hosts[source.host_id].name,
            "name": source.name,
            "repository": view.repositories[source.repository_id].name,
        }
        page.put("backup_source_info", 1, **told)
        page.put("backup_source_state", 1, **told, state=view.states[source.id])
        page.put("backup_source_running", any(r.source_id == source.id for r in view.running.values()), **told)
        good = last_good(source, evidence)
        if good is not None:
            page.put("backup_last_good_timestamp_seconds", math.floor(good.ended_at.timestamp()), **told)
            page.put("backup_last_good_start_timestamp_seconds", math.floor(good.started_at.timestamp()), **told)
            page.put("backup_last_duration_seconds", good.duration_seconds, **told)
            page.put("backup_last_size_bytes", good.size_bytes, **told)
            page.put("backup_last_added_bytes", good.added_bytes, **told)
            checked = dict(view.repository_evidence_of(source.repository_id).upkeep).get(RunKind.CHECK)
            page.put("backup_verified_timestamp_seconds", checked and checked.timestamp(), **told)
        attempt = evidence.last_attempt
        if attempt is not None:
            fine = attempt.outcome in ("success", "unchanged") or attempt is good
            page.put("backup_last_attempt_timestamp_seconds", math.floor(attempt.ended_at.timestamp()), **told)
            page.put("backup_last_attempt_success", fine, **told)
        page.put("backup_snapshots", evidence.snapshots, **told)
        span = source.target or evidence.interval
        page.put("backup_target_seconds", span and span.total_seconds(), **told)
        page.put("backup_due_timestamp_seconds", evidence.due_at and evidence.due_at.timestamp(), **told)
        if view.evaluated_at is not None:
            online = presence.connected and presence.synced
            moments = [presence.observed_at, evidence.observed_at, view.evaluated_at if online else None]
            newest = max((moment for moment in moments if moment is not None), default=None)
            page.put("backup_observed_timestamp_seconds", newest and newest.timestamp(), **told)
        page.put("backup_expected_runs_total", evidence.expected_runs, **told)
        page.put("backup_good_runs_total", evidence.good_runs, **told)


def _repositories(page: _Page, view: FleetView) -> None:
    for repository in view.repositories.values():
        evidence = view.repository_evidence[repository.id]
        told = {"repository": repository.name, "repository_id": repository.id, "tool": repository.tool}
        up = {"up": 1, "down": 0, "unknown": None}[view.repository_states[repository.id]]
        page.put("backup_repository_up", up, **told)
        page.put("backup_repository_size_bytes", evidence.size_bytes, **told)
        page.put("backup_repository_available_bytes", evidence.available_bytes, **told)
        page.put(
            "backup_repository_full_timestamp_seconds", evidence.full_at and evidence.full_at.timestamp(), **told
        )
        page.put("backup_repository_locks", None if evidence.locks is None else len(evidence.locks), **told)
        for task, at in evidence.upkeep:
            stamp = math.floor(at.timestamp())
            page.put("backup_repository_upkeep_timestamp_seconds", stamp, **told, task=str(task))


def _agents(page: _Page, view: FleetView) -> None:
    for host in view.hosts.values():
        seen_at = view.presence[host.id].seen_at
        if view.evaluated_at is not None and seen_at is not None:
            age = math.floor((view.evaluated_at - seen_at).total_seconds())
            page.put("dockmesh_agent_last_seen_seconds", max(age, 0), host=host.name)


def _own(page: _Page, facts: OwnFacts) -> None:
    build = facts.build
    page.put(
        "lastgood_build_info",
        1,
        version=build.version,
        commit=build.commit,
        python=build.python,
        compression=build.compression,
    )
    page.put("lastgood_agents_connected", facts.agents_connected)
    page.put("lastgood_quarantine_facts", facts.quarantine_rows)
    page.put("lastgood_metrics_public", facts.metrics_public)
    page.put("lastgood_last_evaluation_timestamp_seconds", facts.evaluated_at and facts.evaluated_at.timestamp())
    for name, collector in facts.collectors.items():
        last = collector.last_success_at
        *before, probe = name.split("/")
        which = {"collector": "/".join(before) or name, "probe": probe if before else ""}
        page.put("lastgood_collector_success", collector.success, **which)
        page.put("lastgood_collector_duration_seconds", collector.duration_seconds, **which)
        page.put("lastgood_collector_last_success_timestamp_seconds", last and last.timestamp(), **which)
        page.put("lastgood_collector_failures_total", collector.failures, **which)
    for name, channel in facts.channels.items():
        page.put("lastgood_notices_undelivered", channel.undelivered, channel=name)
        page.put("lastgood_notices_delivered_total", channel.delivered, channel=name)
        page.put("lastgood_notices_failures_total", channel.failures, channel=name)
        page.put("lastgood_notices_given_up_total", channel.given_up, channel=name)
    if facts.audit is not None:
        for action, count in facts.audit.entries.items():
            page.put("dockmesh_audit_log_entries_total", count, action=action)
        page.put("lastgood_audit_head_seq", facts.audit.seq)
        page.put("lastgood_audit_head_timestamp_seconds", facts.audit.at and facts.audit.at.timestamp())
        page.put("lastgood_audit_failures_total", facts.audit.failures)
        sent = facts.audit.sent_at
        page.put("lastgood_audit_head_sent_timestamp_seconds", sent and sent.timestamp())
        page.put("lastgood_audit_head_send_failures_total", facts.audit.send_failures)
    parts: tuple[tuple[Any, dict[str, str]], ...] = (
        (facts.scrape, SCRAPE),
        (facts.ingest, INGEST),
        (facts.store, STORE),
        (facts.process, PROCESS),
    )
    for part, names in parts:
        for field, name in names.items():
            page.put(name, None if part is None else getattr(part, field))
    if facts.scrape is not None:
        for format_, encoding in product(("text", "openmetrics"), ("gzip", "identity")):
            counted = facts.scrape.answers.get((format_, encoding))
            for field, name in ANSWER.items():
                page.put(name, getattr(counted, field, 0), format=format_, encoding=encoding)


SCRAPE = {
    "parts_ahead": "lastgood_scrape_parts_ahead_total",
    "refused": "lastgood_scrape_refused_total",
    "overloaded": "lastgood_scrape_overloaded_total",
    "failures": "lastgood_scrape_failures_total",
    "duration_seconds": "lastgood_scrape_duration_seconds",
    "size_bytes": "lastgood_scrape_size_bytes",
}
ANSWER = {
    "requests": "lastgood_scrape_requests_total",
    "bytes": "lastgood_scrape_bytes_total",
    "wait_seconds": "lastgood_scrape_wait_seconds_total",
    "parts_rendered": "lastgood_scrape_parts_rendered_total",
    "parts_reused": "lastgood_scrape_parts_reused_total",
}
INGEST = {
    "facts": "lastgood_ingest_facts_total",
    "duplicates": "lastgood_ingest_duplicates_total",
    "quarantined": "lastgood_ingest_quarantined_total",
}
STORE = {
    "commits": "lastgood_store_commits_total",
    "commit_seconds": "lastgood_store_commit_seconds_total",
    "failures": "lastgood_store_failures_total",
    "queue_depth": "lastgood_store_queue_depth",
}
PROCESS = {
    "cpu_seconds": "process_cpu_seconds_total",
    "resident_bytes": "process_resident_memory_bytes",
    "virtual_bytes": "process_virtual_memory_bytes",
    "open_files": "process_open_fds",
    "most_files": "process_max_fds",
    "started_seconds": "process_start_time_seconds",
}


def _count(view: FleetView, field: str, wanted: str) -> int:
    return len([1 for alert in view.alerts.values() if getattr(alert, field) == wanted])


def _sum(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None

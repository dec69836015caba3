"""The site as a token for single hosts sees it: those hosts, and what belongs to them.

Comes in: the site and host ids. Goes out: the same site whose view, queue and history know nothing else. The one
rule: what is left out here is not there for the routes either, so none of them has to remember to look away; which
routes such a token may use at all stands in ``web/permits.py``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from lastgood.fleet.fleet import FleetView
from lastgood.model.job import RunStart
from lastgood.web.site import Site


def narrowed(site: Site, hosts: frozenset[str]) -> Site:
    """The site with these hosts alone."""

    def queued() -> Mapping[str, RunStart]:
        return {run_id: run for run_id, run in site.queued().items() if run.host_id in hosts}

    return replace(site, only=hosts, view=lambda: narrow(site.view(), hosts), queued=queued)


T = TypeVar("T")

LOOKED_UP = frozenset(
    {
        "blind_until",
        "counters",
        "durations",
        "evaluated_at",
        "evidence",
        "open_alerts_of_host",
        "presence",
        "repository_evidence",
        "repository_states",
        "running_of_source",
        "states",
        "watched_by_host",
    }
)
"""What of a view stays whole: totals that no such route tells, and what is only looked up by an id that is there."""


def narrow(view: FleetView, hosts: frozenset[str]) -> FleetView:
    """The view with these hosts alone."""
    ours = [host_id for host_id in view.hosts if host_id in hosts]
    source_ids = {source_id for host_id in ours for source_id in view.sources_of_host.get(host_id, ())}
    repository_ids = {view.sources[source_id].repository_id for source_id in source_ids}
    repository_ids |= {one for host_id in ours for one in view.watched_by_host.get(host_id, ())}
    alerts = {key: alert for key, alert in view.alerts.items() if alert.host_id in hosts}
    return replace(
        view,
        hosts={host_id: view.hosts[host_id] for host_id in ours},
        sources={source_id: source for source_id, source in view.sources.items() if source_id in source_ids},
        repositories={one: view.repositories[one] for one in repository_ids if one in view.repositories},
        running={run_id: run for run_id, run in view.running.items() if run.host_id in hosts},
        alerts=alerts,
        last_backups=_of(view.last_backups, ours),
        deploying={deploy_id: one for deploy_id, one in view.deploying.items() if one.host_id in hosts},
        deploys={key: one for key, one in view.deploys.items() if key[0] in hosts},
        deployed_on_host=_of(view.deployed_on_host, ours),
        deployed_hosts={
            project: tuple(one for one in there if one in hosts)
            for project, there in view.deployed_hosts.items()
            if not hosts.isdisjoint(there)
        },
        degraded=view.degraded & set(ours),
        docker=_of(view.docker, ours),
        docker_counts=_of(view.docker_counts, ours),
        subjects_of_host=_of(view.subjects_of_host, ours),
        sources_of_host=_of(view.sources_of_host, ours),
        collectors={},
        open_alerts=Counter(alert.severity for alert in alerts.values()),
        sources_of_repository={
            one: tuple(i for i in view.sources_of_repository.get(one, ()) if i in source_ids)
            for one in repository_ids
        },
        aliases_of_host={},
        online=_of(view.online, ours),
        hosts_online=sum(view.online.get(host_id, False) for host_id in ours),
    )


def _of(things: Mapping[str, T], hosts: list[str]) -> dict[str, T]:
    """What is kept by host, of these hosts."""
    return {host_id: things[host_id] for host_id in hosts if host_id in things}

"""Hangs the web on a running hub: the seams of ``Site``, the scrape endpoint and the health paths.

Nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from lastgood.alerts.rules import RULES
from lastgood.auth.gate import Gate
from lastgood.auth.secrets import subkey
from lastgood.config.settings import Settings
from lastgood.metrics import vocabularies
from lastgood.metrics.own_facts import (
    AuditFacts,
    ChannelFacts,
    CollectorFacts,
    HeartbeatFacts,
    IngestFacts,
    OwnFacts,
    StoreFacts,
)
from lastgood.metrics.pbs import natrontech
from lastgood.metrics.vocabulary import Vocabulary
from lastgood.model.fact import Fact
from lastgood.service.service import Service
from lastgood.web.access import SignInLimits
from lastgood.web.app import create_app
from lastgood.web.asgi import App
from lastgood.web.door import Door
from lastgood.web.drawings import Drawings
from lastgood.web.exposition import Exposition
from lastgood.web.health import health_routes
from lastgood.web.process import read_build
from lastgood.web.requests import Requests
from lastgood.web.scrape import Scrape
from lastgood.web.site import Site
from lastgood.web.targets import Targets
from lastgood.wire.frames import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Faces:
    """What the server serves, and the parts of it that are closed at the end."""

    app: App
    scrape: Scrape
    natrontech: Scrape | None = None

    def close(self) -> None:
        self.scrape.close()
        if self.natrontech is not None:
            self.natrontech.close()


def web_key(secret_key: bytes) -> bytes:
    """The key of sessions, one-time links and forms."""
    return subkey(secret_key, "web")


def gate_of(settings: Settings) -> Gate:
    """Who may scrape, by the settings."""
    metrics = settings.metrics
    return Gate(
        token=metrics.token,
        networks=metrics.networks,
        auth=metrics.auth,
        trusted_proxies=settings.server.trusted_proxies,
    )


def faces_of(service: Service) -> Faces:
    """Everything that listens on the hub's port."""
    metrics, limits, requests = service.settings.metrics, SignInLimits(), Requests()
    door = Door(
        gate_of(service.settings),
        service.tokens.scrapers_exist,
        service.tokens.view,
        used=service.tokens.used,
        guessing=limits.tokens,
        clock=service.clock,
    )
    tell_own = _own_facts(service)
    told = vocabularies(partial_is_success=metrics.partial_is_success)
    pages = Exposition(
        moment=lambda: service.fleet,
        own=lambda: replace(tell_own(), scrape=scrape.facts, requests=requests.counts),
        vocabularies=told,
        shards=metrics.shards,
        drawings=_drawings(service, told),
    )
    scrape = Scrape(pages, door, uncompressed_at_once=metrics.uncompressed_at_once)
    service.hear(pages.changed)
    profile = _natrontech(service, door)
    mounts: dict[str, App] = {} if profile is None else {natrontech.PATH: profile}  # before what it lies below
    mounts |= {
        "/metrics": scrape,
        "/sd/prometheus": Targets(door, service.settings.server.public_url, metrics.shards),
        **health_routes(lambda: _unready(service)),
    }
    return Faces(
        app=cast(App, create_app(site_of(service), cast(Any, mounts), limits, requests)),
        scrape=scrape,
        natrontech=profile,
    )


def _drawings(service: Service, told: Sequence[Vocabulary]) -> Drawings | None:
    """What the hub's collectors draw, kept written; None where it has none."""
    collectors = service.collectors
    if not collectors.names:
        return None

    def pictures() -> Mapping[str, object]:
        held = collectors.pictures
        return {name: held.get(name) for name in collectors.names}

    drawings = Drawings(told, pictures, service.clock)
    drawings.begin()
    collectors.hear(lambda _name: drawings.hear())
    return drawings


def _natrontech(service: Service, door: Door) -> Scrape | None:
    """The page by the names of the other PBS exporter, if it is wanted."""
    if not service.settings.metrics.natrontech:
        return None
    told = (natrontech.VOCABULARY,)
    pages = Exposition(
        moment=lambda: None,  # nothing in it is of the fleet
        own=_own_facts(service),
        vocabularies=told,
        drawings=_drawings(service, told),
    )
    return Scrape(pages, door, path=natrontech.PATH)


def site_of(service: Service) -> Site:
    """The seams of the pages and the API."""

    async def take(facts: Sequence[Fact], request_id: str) -> None:
        await service.take(facts, request_id)

    return Site(
        now=service.clock,
        view=service.view,
        take=take,
        read=service.database.read,
        read_in_step=service.read_in_step,
        write=service.database.write,
        run_now=service.commands.run_now,
        start_run=service.commands.start,
        queued=service.commands.queued,
        cancel=service.commands.cancel,
        look_now=service.commands.look_now,
        progress=lambda: _progress(service),
        serve_agent=service.serve_agent,
        settings=service.settings,
        secret_key=web_key(service.secret_key),
        hub_fingerprint=service.keys.fingerprint,
        credentials=service.credentials,
        orders=service.orders,
        trials=service.trials,
        channels=service.channels,
        hosts=service.hosts,
        enrolment=service.enrolment,
        collectors=service.collectors,
        stacks=service.stacks,
        deploy_words=service.roster.words,
        roles=service.roles,
        tokens=service.tokens,
        people=service.people,
        audit=service.audit,
    )


def _progress(service: Service) -> Mapping[str, Progress]:
    """Run id -> how far it is, for the runs under way."""
    found = {}
    for run in service.fleet.running.values():
        latest = service.roster.progress.of_run(run.host_id, run.id)
        if latest is not None:
            found[run.id] = latest
    return found


def _collectors(service: Service) -> Mapping[str, CollectorFacts]:
    return {
        f"{name}/{probe}": CollectorFacts(
            success=one.success,
            duration_seconds=one.took_seconds,
            last_success_at=one.succeeded_at,
            failures=one.failures,
        )
        for name, probes in service.collectors.probes.items()
        for probe, one in probes.items()
    }


def _channels(service: Service) -> Mapping[str, ChannelFacts]:
    return {
        name: ChannelFacts(
            undelivered=counts.undelivered,
            delivered=counts.delivered,
            failures=counts.failures,
            given_up=counts.given_up,
        )
        for name, counts in service.channels.outbox.counts.items()
    }


def _unready(service: Service) -> str | None:
    return None if service.ready else "lastgood is starting or ending."


def _heartbeat_facts(service: Service) -> HeartbeatFacts | None:
    beat = service.heartbeat
    if not beat.is_wanted:
        return None
    return HeartbeatFacts(success_at=beat.success_at, sent=beat.sent, failures=beat.failures)


def _audit_facts(service: Service) -> AuditFacts:
    audit, moment = service.audit, service.audit.moment
    return AuditFacts(
        entries=dict(audit.totals),
        seq=None if moment is None else moment.seq,
        at=None if moment is None else moment.at,
        failures=audit.failures,
        sent_at=service.witnesses.sent_at,
        send_failures=None if service.settings.audit.head_url is None else service.witnesses.failures,
    )


def _alerts_fired(service: Service) -> Mapping[str, int]:
    """Every rule from the start, so that the first alert is a rise; and those of earlier releases."""
    fired = {f"{rule.severity}/{rule.id}": 0 for rule in RULES}
    head = "alerts_fired/"
    counters = service.fleet.counters.items()
    return fired | {name.removeprefix(head): count for name, count in counters if name.startswith(head)}


def _own_facts(service: Service) -> Callable[[], OwnFacts]:
    build = read_build()

    def facts() -> OwnFacts:
        counts, database = service.ingest.counts, service.database
        return OwnFacts(
            build=build,
            agents_connected=len(service.roster),
            collectors=_collectors(service),
            channels=_channels(service),
            ingest=IngestFacts(facts=counts.facts, duplicates=counts.duplicates, quarantined=counts.quarantined),
            store=StoreFacts(
                commits=database.commits,
                commit_seconds=database.commit_seconds,
                failures=database.failures,
                queue_depth=database.queued + service.ingest.queued,
            ),
            quarantine_rows=service.upkeep.quarantined,
            evaluated_at=service.fleet.judging.evaluated_at,
            metrics_public=service.settings.metrics.public,
            heartbeat=_heartbeat_facts(service),
            hub_backup_at=service.backup_watch.made_at,
            audit=_audit_facts(service),
            alerts_fired=_alerts_fired(service),
        )

    return facts

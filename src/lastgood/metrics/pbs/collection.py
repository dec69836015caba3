"""Families about how a PBS server is collected from: when it answered, what is left out, how each probe fares.

Takes a ``PbsView``. The one rule: how old something is, is told as the moment at which it was seen.
"""

from __future__ import annotations

from collections.abc import Callable

from lastgood.metrics.entities import epoch
from lastgood.metrics.family import Family, Value
from lastgood.metrics.pbs.rows import SERVER_LABEL, of_part, of_server
from lastgood.metrics.pbs.view import ERROR, PROBE, SERVER, PbsView
from lastgood.model.pbs import ProbeState


def _of_probe(name: str, help_: str, value: Callable[[ProbeState], Value]) -> Family[PbsView]:
    return of_part(name, help_, PROBE, ("probe",), lambda picture, parts: value(picture.probes[parts[0]]))


def _truncated(view: PbsView, server: str) -> Value:
    picture = view.servers[server]
    return None if picture is None else picture.truncated + view.cut[server]


FAMILIES: tuple[Family[PbsView], ...] = (
    of_server(
        "pbs_reached_timestamp_seconds",
        "Unix time at which the server last answered.",
        lambda picture: epoch(picture.reached_at),
    ),
    of_server(
        "pbs_down_since_timestamp_seconds",
        "Unix time since which it does not answer; no row while it does.",
        lambda picture: epoch(picture.down_since),
    ),
    of_server(
        "pbs_expected_off",
        "1 if the configuration says that the server is switched off on purpose at times.",
        lambda picture: picture.expected_off,
    ),
    of_server(
        "pbs_pending_groups",
        "Groups whose snapshots were not listed yet; until it is 0 the picture is not whole.",
        lambda picture: picture.pending_groups,
    ),
    Family(
        name="pbs_snapshots_truncated",
        help="Snapshots without a row here: snapshot_history_limit, or the 50,000 rows that a server has at most.",
        entity=SERVER,
        label_names=SERVER_LABEL,
        labels=lambda _view, server: (server,),
        optional=SERVER_LABEL,
        value=_truncated,
    ),
    _of_probe("pbs_collector_success", "1 if the newest round of this probe went well.", lambda probe: probe.success),
    _of_probe(
        "pbs_collector_last_success_timestamp_seconds",
        "Unix time at which a round of this probe last went well.",
        lambda probe: epoch(probe.succeeded_at),
    ),
    _of_probe("pbs_collector_duration_seconds", "How long its newest round took.", lambda probe: probe.took_seconds),
    _of_probe(
        "pbs_collector_failures_total",
        "Rounds of this probe that failed, since the process began.",
        lambda probe: probe.failures,
    ),
    of_server(
        "pbs_collector_requests_total",
        "Requests to the server since the process began.",
        lambda picture: picture.traffic.requests,
    ),
    of_server(
        "pbs_collector_received_bytes_total",
        "Bytes received from the server since the process began.",
        lambda picture: picture.traffic.received_bytes,
    ),
    of_part(
        "pbs_collector_errors_total",
        "Requests that failed since the process began, by reason.",
        ERROR,
        ("reason",),
        lambda picture, parts: picture.traffic.errors[parts[0]],
    ),
)

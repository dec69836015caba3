"""Families about a PBS server as a whole: whether it is up, its version and host, subscription and access.

Takes a ``PbsView``. Names and labels that the published exporter promises are exactly those; everything beyond them
has a well-formed name of its own. The one rule: what the server did not tell is an absent row, never 0.
"""

from __future__ import annotations

from datetime import datetime

from lastgood.metrics.entities import epoch
from lastgood.metrics.family import Aged, Family, Instant, Value
from lastgood.metrics.pbs.rows import SERVER_LABEL, of_node, of_part, of_server
from lastgood.metrics.pbs.view import MISSING, SERVER, PbsView
from lastgood.model.pbs import PbsPicture

# --- up -----------------------------------------------------------------------------------------------------------


def _reached(view: PbsView, server: str) -> tuple[datetime | None, float]:
    """Since when the answer holds, and for how many seconds."""
    picture = view.servers[server]
    if picture is None or not picture.up:
        return None, 0.0
    return picture.reached_at or picture.at, picture.fresh_seconds


def _is_up(now: Instant, base: tuple[datetime | None, float]) -> int:
    reached_at, fresh_seconds = base
    return int(reached_at is not None and (now.at - reached_at).total_seconds() < fresh_seconds)


def _up_at_drawing(view: PbsView, server: str) -> Value:
    """The same while nobody says what time it is: at the moment of the picture."""
    picture = view.servers[server]
    return int(picture is not None and picture.up)


UP: Family[PbsView] = Family(
    name="pbs_up",
    help="1 if version and usage could be read, not longer ago than three rounds; 0 otherwise. "
    "A datastore that cannot be read has its own pbs_datastore_up.",
    entity=SERVER,
    label_names=SERVER_LABEL,
    labels=lambda _view, server: (server,),
    optional=SERVER_LABEL,
    value=_up_at_drawing,
    aged=Aged(_reached, _is_up),
)

VERSION = of_server(
    "pbs_version",
    "Always 1; the labels say which release answers. No row while the server is not reached.",
    lambda picture: 1 if picture.up and picture.version is not None else None,
    label_names=("version", "release", "repoid"),
    labels=lambda picture: (
        ("", "", "")
        if picture.version is None
        else (picture.version.version, picture.version.release, picture.version.repoid)
    ),
)

NODE: tuple[Family[PbsView], ...] = (
    of_node("pbs_host_cpu_usage", "CPU usage from 0 to 1, as the server last measured it.", lambda node: node.cpu),
    of_node("pbs_host_io_wait", "Part of the time, from 0 to 1, that waited for disks.", lambda node: node.io_wait),
    of_node("pbs_host_load1", "Load average over 1 minute.", lambda node: node.load[0]),
    of_node("pbs_host_load5", "Load average over 5 minutes.", lambda node: node.load[1]),
    of_node("pbs_host_load15", "Load average over 15 minutes.", lambda node: node.load[2]),
)

SIZES: tuple[Family[PbsView], ...] = (
    of_node(
        "pbs_host_memory_used_bytes",
        "Memory in use; from PBS 3.4 on without caches that can be given back.",
        lambda node: node.memory.used,
    ),
    of_node("pbs_host_memory_total_bytes", "Memory of the host.", lambda node: node.memory.total),
    of_node("pbs_host_memory_free_bytes", "Free memory.", lambda node: node.memory.free),
    of_node("pbs_host_swap_used_bytes", "Swap space in use.", lambda node: node.swap.used),
    of_node("pbs_host_swap_total_bytes", "Swap space of the host.", lambda node: node.swap.total),
    of_node("pbs_host_swap_free_bytes", "Free swap space.", lambda node: node.swap.free),
    of_node("pbs_host_rootfs_used_bytes", "Root file system in use.", lambda node: node.rootfs.used),
    of_node("pbs_host_rootfs_total_bytes", "Size of the root file system.", lambda node: node.rootfs.total),
    of_node("pbs_host_rootfs_avail_bytes", "Available on the root file system.", lambda node: node.rootfs.free),
    of_node("pbs_host_uptime_seconds", "Seconds since the host started.", lambda node: node.uptime_seconds),
)

# --- subscription, access -----------------------------------------------------------------------------------------


def _has_subscription(picture: PbsPicture) -> Value:
    return None if picture.subscription is None else 1


SUBSCRIPTION: tuple[Family[PbsView], ...] = (
    of_server(
        "pbs_host_subscription_info",
        "Always 1; the labels say which subscription the host has.",
        _has_subscription,
        label_names=("productname", "status"),
        labels=lambda picture: (
            ("", "")
            if picture.subscription is None
            else (picture.subscription.productname or "", picture.subscription.status)
        ),
    ),
    of_server(
        "pbs_host_subscription_status",
        "Always 1; the label is the state of the subscription.",
        _has_subscription,
        label_names=("status",),
        labels=lambda picture: ("" if picture.subscription is None else picture.subscription.status,),
    ),
    of_server(
        "pbs_host_subscription_due_timestamp_seconds",
        "Unix time at which the subscription is due; no row without one.",
        lambda picture: None if picture.subscription is None else epoch(picture.subscription.due_at),
        label_names=("productname",),
        labels=lambda picture: ("" if picture.subscription is None else picture.subscription.productname or "",),
    ),
)

ACCESS: tuple[Family[PbsView], ...] = (
    of_server(
        "pbs_certificate_expiry_timestamp_seconds",
        "Unix time at which the certificate that the server showed expires.",
        lambda picture: epoch(picture.certificate_expires_at),
    ),
    of_server(
        "pbs_tls_verified",
        "1 if the certificate is checked by a CA or a pin; 0 if any certificate is taken (verify_tls = false).",
        lambda picture: picture.tls_verified,
    ),
    of_server(
        "pbs_permissions_missing",
        "Grants that the token lacks, so that something here cannot be known.",
        lambda picture: None if picture.missing is None else len(picture.missing),
    ),
    of_part(
        "pbs_permission_missing",
        "1 for each grant that the token lacks, the first hundred.",
        MISSING,
        ("privilege", "path"),
        lambda _picture, _parts: 1,
    ),
    of_server(
        "pbs_tasks_own_only",
        "1 if the token sees nobody else's tasks (no Sys.Audit), so that pbs_task_* tell a part of them.",
        lambda picture: picture.tasks.own_only,
    ),
)

FAMILIES = (UP, VERSION, *NODE, *SIZES, *SUBSCRIPTION, *ACCESS)

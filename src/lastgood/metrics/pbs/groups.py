"""Families about backup groups and their snapshots.

Takes a ``PbsView``. ``namespace`` is told only where it is not the root, so that users of the root alone see the
labels that they always had. The one rule: only finished snapshots count; an upload that has no end is told as that.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from lastgood.metrics.entities import epoch
from lastgood.metrics.family import Entity, Family, Value
from lastgood.metrics.pbs.view import BETWEEN, GROUP, SNAPSHOT, PbsView, server_of, short
from lastgood.model.pbs import Group, Snapshot

_OF_GROUP = ("datastore", "backup_type", "backup_id")
_OPTIONAL = ("namespace", "server")

Labels = Callable[[PbsView, str], tuple[str, ...]]


def _labels(view: PbsView, group_id: str) -> tuple[str, ...]:
    group = view.groups[group_id]
    return group.store, group.type, group.backup_id, group.namespace, server_of(group_id)


def _family(
    entity: Entity[PbsView],
    name: str,
    help_: str,
    value: Callable[[PbsView, str], Value],
    label_names: tuple[str, ...] = (),
    labels: Labels = _labels,
) -> Family[PbsView]:
    return Family(
        name=name,
        help=help_,
        entity=entity,
        label_names=(*_OF_GROUP, *label_names, *_OPTIONAL),
        labels=labels,
        optional=_OPTIONAL,
        value=value,
    )


def _group(name: str, help_: str, value: Callable[[Group], Value]) -> Family[PbsView]:
    return _family(GROUP, name, help_, lambda view, group_id: value(view.groups[group_id]))


def _with(more: Callable[[Group], tuple[str, ...]]) -> Labels:
    def labels(view: PbsView, group_id: str) -> tuple[str, ...]:
        group = view.groups[group_id]
        own = group.store, group.type, group.backup_id
        return *own, *more(group), group.namespace, server_of(group_id)

    return labels


def _of_newest(value: Callable[[Snapshot], Value]) -> Callable[[Group], Value]:
    return lambda group: None if group.last_complete is None else value(group.last_complete)


def _good_at(group: Group) -> datetime | None:
    return group.last_good_end_at or (None if group.last_good is None else group.last_good.backup_at)


def _attempt_at(group: Group) -> datetime | None:
    newest = None if group.last_complete is None else group.last_complete.backup_at
    known = [at for at in (newest, group.failed_at, group.unfinished_at) if at is not None]
    return max(known, default=None)


def _listed(value: Callable[[Group], Value]) -> Callable[[Group], Value]:
    """A count that is 0 only once its snapshots were listed."""
    return lambda group: None if group.finished is None else value(group)


GROUPS: tuple[Family[PbsView], ...] = (
    _group(
        "pbs_snapshot_size_bytes",
        "Size of the newest finished snapshot before deduplication.",
        _of_newest(lambda snapshot: snapshot.size_bytes),
    ),
    _group(
        "pbs_snapshot_count",
        "Finished snapshots of the group; 0 for an empty one.",
        lambda group: group.finished,
    ),
    _family(
        GROUP,
        "pbs_group_info",
        "Always 1; owner and comment of the group, and the comment of its newest finished snapshot, which PVE fills "
        "with the guest's name. The first 50 characters of each comment.",
        lambda _view, _id: 1,
        ("owner", "comment", "guest"),
        _with(
            lambda group: (
                group.owner or "",
                short(group.comment),
                "" if group.last_complete is None else short(group.last_complete.comment),
            )
        ),
    ),
    _group(
        "pbs_group_last_good_timestamp_seconds",
        "Unix time at which the newest finished snapshot that did not fail its verification ended; its start where "
        "the end is not known.",
        lambda group: epoch(_good_at(group)),
    ),
    _group(
        "pbs_group_last_snapshot_timestamp_seconds",
        "Unix time at which the newest finished snapshot was begun, verified or not.",
        _of_newest(lambda snapshot: epoch(snapshot.backup_at)),
    ),
    _group(
        "pbs_group_oldest_snapshot_timestamp_seconds",
        "Unix time of its oldest finished snapshot.",
        lambda group: epoch(group.oldest_at),
    ),
    _group(
        "pbs_group_last_attempt_timestamp_seconds",
        "Unix time of the newest attempt that is known: finished, failed, or without an end.",
        lambda group: epoch(_attempt_at(group)),
    ),
    _group(
        "pbs_group_failed_attempts",
        "Backup tasks that failed since the last good snapshot.",
        _listed(lambda group: group.failed_attempts),
    ),
    _group(
        "pbs_group_failed_attempts_ambiguous",
        "1 where they could belong to a group of the same id in another namespace; no row otherwise.",
        lambda group: 1 if group.ambiguous else None,
    ),
    _group(
        "pbs_group_last_failed_timestamp_seconds",
        "Unix time of the newest failed attempt since the last good snapshot.",
        lambda group: epoch(group.failed_at),
    ),
    _group(
        "pbs_group_unfinished_uploads",
        "Uploads without an end, the one under way included.",
        _listed(lambda group: group.unfinished),
    ),
    _group(
        "pbs_group_unfinished_timestamp_seconds",
        "Unix time at which the newest of them was begun.",
        lambda group: epoch(group.unfinished_at),
    ),
    _group(
        "pbs_group_uploading",
        "1 while a backup task is at it; no row otherwise.",
        lambda group: 1 if group.uploading else None,
    ),
    _group(
        "pbs_group_encrypted",
        "1 if the newest finished snapshot is encrypted.",
        _of_newest(lambda snapshot: snapshot.encrypted),
    ),
    _group(
        "pbs_group_protected",
        "1 if the newest finished snapshot is protected from pruning.",
        _of_newest(lambda snapshot: snapshot.protected),
    ),
    _family(
        GROUP,
        "pbs_group_verification",
        "Always 1; the label is how the newest finished snapshot was verified: ok, failed or none.",
        lambda view, group_id: None if view.groups[group_id].last_complete is None else 1,
        ("state",),
        _with(lambda group: ("" if group.last_complete is None else group.last_complete.verification,)),
    ),
    _group(
        "pbs_group_verified_timestamp_seconds",
        "Unix time at which the verification began that last found a snapshot of the group well.",
        lambda group: epoch(None if group.last_verified is None else group.last_verified.verified_at),
    ),
    _group(
        "pbs_group_verify_stale_seconds",
        "How old a verification may be, by the verify job or else 30 days.",
        lambda group: group.verify_stale_seconds,
    ),
    _group(
        "pbs_group_expected_interval_seconds",
        "The usual time between two snapshots: the median of the last eight gaps.",
        lambda group: group.expected_seconds,
    ),
    _group(
        "pbs_group_target_seconds",
        "How old the last good backup may be, where the configuration says so.",
        lambda group: group.target_seconds,
    ),
    _group(
        "pbs_group_archived",
        "1 where the configuration says that nothing more is to come; no row otherwise.",
        lambda group: 1 if group.archived else None,
    ),
    _group(
        "pbs_group_listed_timestamp_seconds",
        "Unix time at which its snapshots were last listed: how old all of this is.",
        lambda group: epoch(group.listed_at),
    ),
)

# --- snapshots ----------------------------------------------------------------------------------------------------


def _place(view: PbsView, snapshot_id: str) -> tuple[Group, str]:
    """The group of a snapshot, and its moment as it stands on the page."""
    group_id, _, at = snapshot_id.rpartition(BETWEEN)
    return view.groups[group_id], str(int(at))


def _snapshot_labels(view: PbsView, snapshot_id: str) -> tuple[str, ...]:
    (group, at), snapshot = _place(view, snapshot_id), view.snapshots[snapshot_id]
    told = at, short(snapshot.comment), snapshot.owner or "", snapshot.verification
    return group.store, group.type, group.backup_id, *told, group.namespace, server_of(snapshot_id)


def _moment_labels(view: PbsView, snapshot_id: str) -> tuple[str, ...]:
    group, at = _place(view, snapshot_id)
    return group.store, group.type, group.backup_id, at, group.namespace, server_of(snapshot_id)


SNAPSHOTS: tuple[Family[PbsView], ...] = (
    _family(
        SNAPSHOT,
        "pbs_snapshot_info",
        "Always 1, for each finished snapshot, the newest snapshot_history_limit of a group and 50,000 of a server. "
        "backup_time is its start as Unix time; the comment is cut after 50 characters; verification_state is ok, "
        "failed or none.",
        lambda _view, _id: 1,
        ("backup_time", "comment", "owner", "verification_state"),
        _snapshot_labels,
    ),
    _family(
        SNAPSHOT,
        "pbs_snapshot_protected",
        "1 for each of these snapshots that is protected from pruning; no row for others.",
        lambda view, snapshot_id: 1 if view.snapshots[snapshot_id].protected else None,
        ("backup_time",),
        _moment_labels,
    ),
)

FAMILIES = (*GROUPS, *SNAPSHOTS)

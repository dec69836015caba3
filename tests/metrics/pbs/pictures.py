"""Pictures of PBS servers for the tests of what is told of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from lastgood.metrics.family import Instant
from lastgood.metrics.pack import PACKER
from lastgood.metrics.page import Drawn, Page, Wanted
from lastgood.metrics.pbs import VOCABULARY
from lastgood.metrics.rendition import Rendition, Writer
from lastgood.metrics.text import Format
from lastgood.metrics.vocabulary import Vocabulary
from lastgood.model.pbs import (
    S3,
    Datastore,
    Gc,
    Group,
    Job,
    LastTask,
    Media,
    Node,
    PbsPicture,
    ProbeState,
    Snapshot,
    Space,
    Subscription,
    TapeDrive,
    Tasks,
    TaskStatus,
    Traffic,
    Verification,
    Version,
)
from tests.metrics.steady import PLAIN

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
AWKWARD = 'he said "no" \\ and\nleft\tat\x00once'
PILE = "\N{PILE OF POO}"


def ago(**by: float) -> datetime:
    return NOW - timedelta(**by)


def a_snapshot(hours: float = 4, **other: Any) -> Snapshot:
    kept: dict[str, Any] = {"backup_at": ago(hours=hours), "size_bytes": 5_000_000, "owner": "root@pam!pve"}
    return Snapshot(**{**kept, **other})


def a_group(backup_id: str = "100", *snapshots: Snapshot, **other: Any) -> Group:
    newest = snapshots[0] if snapshots else None
    good = next((one for one in snapshots if one.verification is not Verification.FAILED), None)
    verified = next((one for one in snapshots if one.verification is Verification.OK), None)
    kept: dict[str, Any] = {
        "store": "main",
        "namespace": "",
        "type": "vm",
        "finished": len(snapshots),
        "last_good": good,
        "last_complete": newest,
        "last_verified": verified,
        "oldest_at": snapshots[-1].backup_at if snapshots else None,
        "listed_at": ago(minutes=5),
        "owner": "root@pam!pve",
        **other,
    }
    group_id = "/".join((kept["store"], kept["namespace"], kept["type"], backup_id))
    return Group(id=group_id, backup_id=backup_id, snapshots=snapshots, **kept)


def a_picture(*groups: Group, **other: Any) -> PbsPicture:
    kept: dict[str, Any] = {"server": "", "at": NOW, "up": True, "reached_at": ago(seconds=20), **other}
    return PbsPicture(groups={group.id: group for group in groups}, **kept)


def a_rich_picture(**other: Any) -> PbsPicture:
    """Everything that can be told, and names that are hard to write."""
    failed = a_snapshot(4, comment="web-1", verification=Verification.FAILED, protected=True)
    checked = a_snapshot(
        28, comment="web-1", verification=Verification.OK, verified_at=ago(hours=20), encrypted=True, size_bytes=4_000
    )
    groups = (
        a_group(
            "100",
            failed,
            checked,
            last_good_end_at=ago(hours=27),
            failed_attempts=2,
            failed_at=ago(hours=1),
            expected_seconds=86_400.0,
            target_seconds=93_600.0,
            verify_stale_seconds=2_592_000.0,
            comment=AWKWARD,
        ),
        a_group("100", a_snapshot(2, comment="x" * 47 + PILE * 10), type="ct"),
        a_group("100", a_snapshot(3, comment="é" * 60), namespace="prod/eu"),
        a_group("h.o_s-t", type="host", finished=0, unfinished=1, unfinished_at=ago(minutes=3), uploading=True),
        a_group("old", a_snapshot(9_000, owner=None, comment=""), archived=True, ambiguous=True, failed_attempts=1),
        a_group("later", finished=None, listed_at=None),
    )
    gc = Gc(
        ended_at=ago(hours=3),
        status=TaskStatus.WARNINGS,
        took_seconds=61.5,
        removed_bytes=0,
        pending_bytes=12,
        index_bytes=900,
        disk_bytes=300,
        still_bad=1,
        succeeded_at=ago(hours=3),
    )
    stores = (
        Datastore(
            name="main",
            up=True,
            total_bytes=10_000,
            used_bytes=4_000,
            available_bytes=6_000,
            full_at=NOW + timedelta(days=90),
            history_known=True,
            mount="nonremovable",
            gc=gc,
            namespaces=("", "prod/eu", "shut"),
            unreadable_namespaces={"shut": "no right"},
        ),
        Datastore(name="usb", up=False, mount="notmounted", maintenance="offline"),
        Datastore(
            name="cloud",
            backend="s3",
            up=True,
            total_bytes=9,
            used_bytes=1,
            available_bytes=8,
            gc=Gc(running=True),
            s3=S3(downloaded_bytes=5, uploaded_bytes=7, requests={"get": 3, "put": 4}),
        ),
    )
    total = {("backup", "OK", AWKWARD): 7, ("backup", "ERROR", ""): 2, ("prune", "WARNINGS", ""): 1}
    last = LastTask(
        worker_type="backup",
        worker_id="main:vm/100",
        status=TaskStatus.OK,
        comment=AWKWARD,
        started_at=ago(hours=4),
        ended_at=ago(hours=3, minutes=30),
    )
    tasks = Tasks(
        totals=total,
        last={("backup", "main:vm/100"): last},
        running={("backup", ""): 1, ("verify", ""): 0},
        last_ended_at={"backup": ago(hours=1), "prune": ago(hours=9)},
    )
    jobs = (
        Job(
            kind="sync",
            id="s-1",
            store="main",
            namespace="prod",
            remote="far",
            direction="push",
            schedule="hourly",
            status=TaskStatus.WARNINGS,
            ended_at=ago(hours=1),
            next_run_at=NOW + timedelta(minutes=5),
        ),
        Job(kind="prune", id="s-1", store="main", enabled=False),
    )
    space = Space(total=100, used=40, free=60)
    kept: dict[str, Any] = {
        "version": Version(version="4.1", release="8", repoid="abc"),
        "node": Node(
            cpu=0.25, io_wait=0.0, load=(0.5, 0.25, 1.0), memory=space, swap=space, rootfs=space, uptime_seconds=77
        ),
        "subscription": Subscription(status="active", productname="PBS Basic", due_at=NOW + timedelta(days=9)),
        "certificate_expires_at": datetime(3024, 1, 1, tzinfo=UTC),
        "missing": ("Tape.Audit on /tape", "Sys.Audit on /"),
        "datastores": {store.name: store for store in stores},
        "tasks": tasks,
        "jobs": jobs,
        "drives": (TapeDrive(name="lto", vendor="HP", model="U3", serial="1", in_use=True), TapeDrive(name="off")),
        "media": (Media(pool="weekly", status="full", location="vault-x", tapes=3, bytes_used=900),),
        "truncated": 4,
        "probes": {
            "fast": ProbeState(success=True, succeeded_at=ago(seconds=20), took_seconds=0.5),
            "slow": ProbeState(failures=2, success=False, message="no"),
        },
        "traffic": Traffic(requests=9, received_bytes=99, errors={"timeout": 1}),
        "pending_groups": 1,
        **other,
    }
    return a_picture(*groups, **kept)


def page_of(
    rendition: Rendition, format_: Format = Format.TEXT, vocabulary: Vocabulary = VOCABULARY, at: datetime = NOW
) -> bytes:
    """The whole page that a rendition makes."""
    drawn = Drawn(rendition, Instant(at, int(at.timestamp()), {}))
    made = Page([vocabulary], {}).make(Wanted((vocabulary.name,), format_), None, lambda: PLAIN, drawn)
    return b"".join(PACKER.clear(made.body))


def text_of(
    picture: PbsPicture | None, vocabulary: Vocabulary = VOCABULARY, name: str = "pbs", at: datetime = NOW
) -> str:
    return page_of(Writer([vocabulary]).write({name: picture}), vocabulary=vocabulary, at=at).decode()


def rows_of(text: str, family: str) -> list[str]:
    """The sample lines of a family without its name."""
    return [line.removeprefix(family) for line in text.splitlines() if line.startswith((f"{family}{{", f"{family} "))]

"""What Proxmox Backup Server says of itself, its datastores and what lies in them, as it says it.

Comes in: one row of an answer. Goes out: a struct for ``tools/pbs`` alone. The one rule: only what a row is worth
nothing without is required; all else may be missing, words are open, and numbers no server can mean refuse their
row. Outside format: ``data`` of the API below ``/api2/json``, 3.2 to 4.2.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from msgspec import Meta, Struct

LATEST = 253_402_300_799
"""The last second of the year 9999, beyond which there is no ``datetime``."""

Epoch = Annotated[int, Meta(ge=0, le=LATEST)]
Bytes = Annotated[int, Meta(ge=0, le=2**62)]
Count = Annotated[int, Meta(ge=0, le=2**53)]
Share = Annotated[float, Meta(ge=0, le=1e9)]
Name = Annotated[str, Meta(max_length=1024)]
"""What becomes an identity or a label: no server takes names of half that length, and none may fill our pages."""

Permissions = dict[str, dict[str, bool]]
"""Path -> privilege -> whether it reaches below."""


def moment(epoch: int | None) -> datetime | None:
    """Aware UTC; None for what is absent or beyond every calendar."""
    return datetime.fromtimestamp(epoch, UTC) if epoch is not None and 0 <= epoch <= LATEST else None


class Shape(Struct, frozen=True, kw_only=True, rename="kebab"):
    """One object of an answer; keys that are not named here are passed over.

    Rows that come by the hundred thousand are ``gc=False``: they hold no circles, and the collector need not look.
    """


class Version(Shape, frozen=True, kw_only=True):
    version: str
    release: str
    repoid: str = ""


class Space(Shape, frozen=True, kw_only=True):
    """``avail`` is what a file system calls free."""

    total: Bytes
    used: Bytes
    free: Bytes | None = None
    avail: Bytes | None = None


class NodeInfo(Shape, frozen=True, kw_only=True):
    fingerprint: str | None = None


class NodeStatus(Shape, frozen=True, kw_only=True):
    """``cpu`` and ``wait`` are shares since anybody last asked; several who ask shorten each other's window.

    Before 3.4 ``memory.used`` is all but what is free, from then on all but what could be had (``Gate``).
    """

    memory: Space
    root: Space
    swap: Space
    uptime: Count
    loadavg: tuple[Share, Share, Share]
    cpu: Share
    wait: Share
    info: NodeInfo | None = None


class Subscription(Shape, frozen=True, kw_only=True):
    """``nextduedate`` is a day, told only to who has Sys.Audit on ``/``. Key and server id are not even read."""

    status: str
    message: str | None = None
    productname: str | None = None
    nextduedate: str | None = None


class GcCounters(Shape, frozen=True, kw_only=True):
    """Garbage collection: ``upid`` and all counters are of its last success; without ``upid`` there was none."""

    upid: str | None = None
    index_file_count: Count = 0
    index_data_bytes: Bytes = 0
    disk_bytes: Bytes = 0
    disk_chunks: Count = 0
    removed_bytes: Bytes = 0
    removed_chunks: Count = 0
    pending_bytes: Bytes = 0
    pending_chunks: Count = 0
    removed_bad: Count = 0
    still_bad: Count = 0


class GcRow(GcCounters, frozen=True, kw_only=True):
    """The ``last_run_*`` are of the last run of any outcome, and absent while one runs. The server's own ``duration``
    mixes two runs after a failure, and is not read. The object of one datastore may lack ``store``."""

    store: Name = ""
    schedule: str | None = None
    next_run: Epoch | None = None
    last_run_endtime: Epoch | None = None
    last_run_state: str | None = None


class Usage(Shape, frozen=True, kw_only=True):
    """Capacity is absent if the datastore cannot be read, or may not; ``error`` may say why.

    ``estimated_full_date`` of 0 or in the past means never, its absence that there is too little history.
    """

    store: Name
    total: Bytes | None = None
    used: Bytes | None = None
    avail: Bytes | None = None
    mount_status: str | None = None
    estimated_full_date: int | None = None
    error: str | None = None
    gc_status: GcCounters | None = None
    backend_type: str | None = None


class DatastoreRow(Shape, frozen=True, kw_only=True):
    """``maintenance`` is ``type=offline,message="..."`` or the bare type: ``properties.maintenance``."""

    store: Name
    comment: str | None = None
    maintenance: str | None = None
    mount_status: str | None = None
    backend_type: str | None = None


class DatastoreConfig(Shape, frozen=True, kw_only=True):
    name: Name
    path: str | None = None
    comment: str | None = None
    gc_schedule: str | None = None
    verify_new: bool = False
    maintenance_mode: str | None = None
    backing_device: str | None = None
    backend: str | None = None
    """``type=s3,client=..,bucket=..``; absent for a file system."""


class S3Statistics(Shape, frozen=True, kw_only=True):
    downloaded: Bytes | None = None
    uploaded: Bytes | None = None
    get: Count | None = None
    post: Count | None = None
    put: Count | None = None
    head: Count | None = None
    delete: Count | None = None


class StoreStatus(Shape, frozen=True, kw_only=True):
    """Its capacity is not read: it is 0 for who may not know it, whereas ``Usage`` leaves it out."""

    backend_type: str | None = None
    s3_statistics: S3Statistics | None = None


class Namespace(Shape, frozen=True, kw_only=True):
    ns: Name
    comment: str | None = None


class GroupRow(Shape, frozen=True, kw_only=True, gc=False):
    """A change detector and no more: ``last_backup`` and ``backup_count`` may be of uploads without an end, and
    both are 0 for an empty group."""

    backup_type: Name
    backup_id: Name
    last_backup: Epoch
    backup_count: Count
    owner: Name | None = None
    comment: str | None = None


class Verification(Shape, frozen=True, kw_only=True, gc=False):
    """``upid`` is the task that verified it: its start is the only time there is."""

    upid: str
    state: str


class File(Shape, frozen=True, kw_only=True, gc=False):
    filename: str
    crypt_mode: str | None = None


_OUTSIDE = ("index.json.blob", "client.log.blob")
"""Files that are never encrypted, whatever the rest is."""


class SnapshotRow(Shape, frozen=True, kw_only=True, gc=False):
    """Finished if it has a size. ``size`` is logical, before deduplication; ``comment`` the first line of the notes.

    ``backup_time`` is the client's start, may lie in the future, and stays the same in copies.
    """

    backup_type: Name
    backup_id: Name
    backup_time: Epoch
    comment: str | None = None
    verification: Verification | None = None
    files: tuple[File, ...] = ()
    size: Bytes | None = None
    owner: Name | None = None
    protected: bool = False

    @property
    def is_finished(self) -> bool:
        return self.size is not None

    @property
    def is_encrypted(self) -> bool:
        return self._every_file_is("encrypt")

    @property
    def is_signed(self) -> bool:
        return self._every_file_is("sign-only")

    def _every_file_is(self, mode: str) -> bool:
        modes = [file.crypt_mode for file in self.files if file.filename not in _OUTSIDE]
        return bool(modes) and all(each == mode for each in modes)


class Drive(Shape, frozen=True, kw_only=True):
    """A tape drive; vendor, model and serial are there if the host sees it, ``state`` while somebody holds it."""

    name: Name
    vendor: str | None = None
    model: str | None = None
    serial: str | None = None
    state: str | None = None


class Media(Shape, frozen=True, kw_only=True):
    label_text: Name
    status: str
    location: str
    uuid: str | None = None
    pool: str | None = None
    bytes_used: Bytes | None = None
    expired: bool = False

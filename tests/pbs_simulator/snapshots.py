"""The snapshots of a group, derived from its number and never kept, and how they read on the wire.

Takes a group and the world's seed and first moment; the same three give the same snapshots for ever. Half a gigabyte
of list body is made from this, so a row is joined from pieces that are made once a group.
Outside format: rows of `GET /admin/datastore/S/snapshots`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from .compact import compact
from .model import DAY, Group, Snap
from .upid import NODE, PID, PSTART, escaped

VERIFY_HOUR = 5 * 3600
KEY_ID = "9a:31:0f:c7:5e:88:12:ab:4d:6f:e0:27:b3:91:5c:08:7e:d4:2a:f6:19:c5:83:4b:60:1d:ee:97:52:38:ad:0c"

FAILED_OF_65536 = 328  # 0.5 %
NEVER_OF_65536 = 13107  # 20 %
PROTECTED_OF_1024 = 20  # 2 %


class Deriving:
    """How snapshots come from a seed; ``at`` is the moment the world began."""

    def __init__(self, seed: int, at: int) -> None:
        self.seed = seed
        self.at = at

    def snapshots(self, group: Group, most: int | None = None) -> list[Snap]:
        """Newest first, ``most`` of the finished ones; the unfinished one, if there is one, leads."""
        if group.listed is not None:
            return group.listed
        snaps = []
        if group.upload is not None and group.rows:
            snaps.append(Snap(group.upload_at, False, None, None, False, None))
        finished = group.rows - len(snaps)
        if most is not None:
            finished = min(finished, most)
        if finished <= 0:
            return snaps
        draws = memoryview(self._random(group).getrandbits(32 * finished).to_bytes(4 * finished, "little")).cast("I")
        again = 30 * DAY if group.number % 4 else 0
        at, newest, interval, guest = self.at, group.newest, group.interval, group.guest
        for index, draw in enumerate(draws):
            time = newest - index * interval - ((draw >> 26) * 10 if index else 0)
            chance = draw & 0xFFFF
            verify: str | None = None
            # The first 05:00 after the backup, and then again every thirty days where the store does so.
            start = ((time - VERIFY_HOUR) // DAY + 1) * DAY + VERIFY_HOUR
            if chance >= FAILED_OF_65536 + NEVER_OF_65536:
                verify = "ok"
            elif chance < FAILED_OF_65536:
                verify = "failed"
            if group.newest_failed and not index:
                verify, start = "failed", time + 600
            if start > at or verify is None:
                verify, verified_at = None, None
            else:
                verified_at = start + (at - start) // again * again if again else start
            protected = (draw >> 16) & 0x3FF < PROTECTED_OF_1024
            snaps.append(Snap(time, True, verify, verified_at, protected, guest))
        return snaps

    def ends(self, group: Group) -> list[Snap]:
        """The newest finished snapshot and the unfinished one, as far as there are such; cheap."""
        if group.listed is not None:
            finished = [snap for snap in group.listed if snap.finished]
            return [*finished[:1], *(snap for snap in group.listed if not snap.finished)]
        ends = (
            [] if group.upload is None or not group.rows else [Snap(group.upload_at, False, None, None, False, None)]
        )
        if group.rows > len(ends):
            ends.append(Snap(group.newest, True, None, None, False, None))
        return ends

    def rows(self, group: Group, verify_job: str) -> Iterator[str]:
        """The group's JSON rows in the order of a directory: any order, the same each time."""
        snaps = self.snapshots(group)
        turn = (group.number * 7 + self.seed) % len(snaps) if snaps else 0
        head = f'{{"backup-type":"{group.kind}","backup-id":{compact(group.id)},"backup-time":'
        owner = f',"owner":{compact(group.owner)}' if group.owner is not None else ""
        key = f',"fingerprint":"{KEY_ID}"' if group.crypt != "none" else ""
        files, size = file_rows(group)
        rest = f'{key},"files":{compact(files)},"size":{size}{owner},"protected":'
        bare = f',"files":{compact(bare_files(group))}{owner},"protected":'
        job = compact(escaped(f"{group.store}:{verify_job}"))[1:-1]
        guest = f',"comment":{compact(group.guest)}' if group.guest is not None else ""
        for snap in snaps[turn:] + snaps[:turn]:
            shield = "true}" if snap.protected else "false}"
            if not snap.finished:
                yield f"{head}{snap.time}{bare}{shield}"
                continue
            comment = guest
            if snap.comment is not group.guest:
                said = compact(snap.comment)
                comment = f',"comment":{said}' if snap.comment is not None else ""
            if snap.verify is None or snap.verified_at is None:
                yield f"{head}{snap.time}{comment}{rest}{shield}"
                continue
            task = f"{daily_number(snap.verified_at):08X}:{snap.verified_at:08X}:verificationjob:{job}:root@pam:"
            yield (
                f'{head}{snap.time}{comment},"verification":{{"upid":"UPID:{NODE}:{PID:08X}:{PSTART:08X}:{task}",'
                f'"state":"{snap.verify}"}}{rest}{shield}'
            )

    def _random(self, group: Group) -> random.Random:
        return random.Random((self.seed << 32) + group.number)


def daily_number(start: int) -> int:
    """The task id of the verification or garbage collection that began then; there is one a day and store."""
    return start // DAY


def file_rows(group: Group) -> tuple[list[dict[str, object]], int]:
    """The files of a finished snapshot and the sum of their sizes."""
    number = group.number
    named: list[tuple[str, int]]
    logged = group.kind == "vm" or number % 3 == 0
    if group.kind == "vm":
        disks = [
            (f"drive-scsi{disk}.img.fidx", (16 + (number + disk) % 8 * 16) << 30) for disk in range(1 + number % 4)
        ]
        named = [("qemu-server.conf.blob", 400 + number % 90), *disks]
        if number % 2 == 0:
            named.append(("fw.conf.blob", 121))
    elif group.kind == "ct":
        named = [("catalog.pcat1.didx", 1843200), ("pct.conf.blob", 302), ("root.pxar.didx", (2 + number % 30) << 30)]
    else:
        payload = [("data.mpxar.didx", 9437184), ("data.ppxar.didx", (100 + number % 400) << 30)]
        named = [("catalog.pcat1.didx", 5242880), *payload]
    rows: list[dict[str, object]] = [
        {"filename": name, "crypt-mode": group.crypt, "size": size} for name, size in named
    ]
    index = "none" if group.crypt == "none" else "sign-only"
    rows.append({"filename": "index.json.blob", "crypt-mode": index, "size": 612})
    if logged:
        rows.append({"filename": "client.log.blob"})
    return rows, sum(size for _, size in named) + 612


def bare_files(group: Group) -> list[dict[str, object]]:
    """What lies there before the manifest is written."""
    rows, _ = file_rows(group)
    names = sorted(str(row["filename"]) for row in rows)
    return [{"filename": name} for name in names if name not in ("index.json.blob", "client.log.blob")]


def file_names(group: Group, snaps: list[Snap]) -> list[str]:
    """The ``files`` of a group: names only, those of its newest snapshot."""
    if not snaps:
        return []
    rows = file_rows(group)[0] if max(snaps).finished else bare_files(group)
    return sorted(str(row["filename"]) for row in rows)

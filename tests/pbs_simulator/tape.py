"""Tape library of the simulated server: as recorded, the same at every size.

Outside format: rows of `tape/drive`, `tape/media/list`, `tape/changer` and a changer's status.
"""

from __future__ import annotations

from typing import Any

DRIVES: list[dict[str, Any]] = [
    {
        "name": "lto8-a",
        "path": "/dev/tape/by-id/scsi-10WT036260-sg",
        "changer": "lib1",
        "changer-drivenum": 0,
        "vendor": "IBM",
        "model": "ULT3580-TD8",
        "serial": "10WT036260",
        "state": "UPID:pbs-a:000002F1:000004D2:000001B4:691EC378:tape-backup-job:"
        "main\\x3aweekly\\x3alto8\\x2da\\x3at\\x2dweekly:root@pam:",
    },
    {"name": "lto8-b", "path": "/dev/tape/by-id/scsi-10WT036261-sg", "changer": "lib1", "changer-drivenum": 1},
]

CHANGERS: list[dict[str, Any]] = [
    {"name": "lib1", "path": "/dev/tape/by-id/scsi-LIB1", "vendor": "IBM", "model": "3573-TL", "serial": "00X2U78"}
]

SLOTS: list[dict[str, Any]] = [
    {"entry-kind": "drive", "entry-id": 0, "label-text": "AAA001L8", "loaded-slot": 1},
    {"entry-kind": "drive", "entry-id": 1},
    {"entry-kind": "slot", "entry-id": 1},
    {"entry-kind": "slot", "entry-id": 2, "label-text": "CLN000L8"},
    {"entry-kind": "import-export", "entry-id": 3},
]

MEDIA: list[dict[str, Any]] = [
    {
        "label-text": "AAA001L8",
        "uuid": "5b1f9d2a-7c44-4a86-9d0e-3f6c2b8e1a70",
        "ctime": 1735689600,
        "location": "online-lib1",
        "status": "full",
        "expired": False,
        "catalog": True,
        "media-set-name": "weekly 2025-11-15",
        "media-set-uuid": "c7a3e5d0-19b8-4f27-8c6e-0a5d94b1f3e2",
        "seq-nr": 0,
        "media-set-ctime": 1763164800,
        "pool": "weekly",
        "bytes-used": 11873540390912,
    },
    {
        "label-text": "AAA002L8",
        "uuid": "0d84c6f1-2b9e-4d13-a7f5-61c0e8b3d942",
        "ctime": 1735689700,
        "location": "vault-bank",
        "status": "writable",
        "expired": True,
        "catalog": False,
        "pool": "weekly",
    },
    {
        "label-text": "CLN000L8",
        "uuid": "e96b20a7-5d31-4c8f-b204-7f1a3d9c8e65",
        "ctime": 1735689800,
        "location": "offline",
        "status": "damaged",
        "expired": False,
        "catalog": True,
    },
]

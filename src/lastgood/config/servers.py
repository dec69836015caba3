"""Servers to collect from: they live in the file or the environment, never in a request and never in the database.

``[pbs]`` is the one unnamed server, ``[pbs.servers.NAME]`` are several; the environment reaches the unnamed one.
Comes in: their settings. Goes out: what ``tools/pbs`` needs. The one rule: a secret is a ``Secret``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from lastgood.secret import Secret

SNAPSHOT_ROWS = 50_000
"""Rows of snapshots told of one server at most, newest first, whatever ``snapshot_history_limit`` says."""


class PbsServer(Struct, frozen=True, kw_only=True):
    """One Proxmox Backup Server. ``name`` is empty for the unnamed one.

    ``fingerprint`` pins the certificate: 32 hex pairs, colons or none. ``verify_tls`` False accepts any certificate,
    with a warning; a pin or a CA file wins over it. ``timeout_seconds`` is the deadline of small calls; those that
    list snapshots have their own. ``archived`` and ``targets`` go by patterns of groups as ``fnmatch`` reads them,
    written ``store/namespace/type/id`` with as many parts as wanted from the right (``vm/100``, ``main/prod/ct/*``);
    ``targets`` in seconds.
    """

    name: str
    endpoint: str
    token_id: str
    token_secret: Secret
    verify_tls: bool = True
    ca_file: Path | None = None
    fingerprint: str | None = None
    timeout_seconds: int = 5
    snapshot_history_limit: int = 0
    archived: tuple[str, ...] = ()
    targets: Mapping[str, float] = {}
    expected_off: bool = False

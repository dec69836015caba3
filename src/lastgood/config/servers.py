"""Servers to collect from: they live in the file or the environment, never in a request and never in the database.

``[pbs]`` is the one unnamed server, ``[pbs.servers.NAME]`` are several; the environment reaches the unnamed one.
Comes in: their settings. Goes out: what ``tools/pbs`` needs. The one rule: a secret is a ``Secret``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from msgspec import Meta, Struct

from lastgood.secret import Secret

SNAPSHOT_ROWS = 50_000
"""Rows of snapshots told of one server at most, newest first, whatever ``snapshot_history_limit`` says."""

SERVER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?|\[[0-9A-Fa-f:.]+\]")
_TOKEN_ID = re.compile(r"[^\s@!:]+@[^\s@!:]+![^\s@!:]+")
_SECRET = re.compile(r"[\x21-\x7e]+")
_PIN = re.compile(r"[0-9A-Fa-f]{64}")


class PbsServer(Struct, frozen=True, kw_only=True):
    """One Proxmox Backup Server. ``name`` is empty for the unnamed one.

    ``fingerprint`` pins the certificate: 32 hex pairs, colons or none. ``verify_tls`` False accepts any certificate,
    with a warning; a pin or a CA file wins over it. ``timeout_seconds`` is the deadline of small calls; those that
    list snapshots have their own. ``archived`` and ``targets`` go by patterns of groups as ``fnmatch`` reads them,
    written ``store/namespace/type/id`` with as many parts as wanted from the right (``vm/100``, ``main/prod/ct/*``);
    ``targets`` in seconds.
    """

    name: str
    endpoint: Annotated[
        str,
        Meta(description="Address of the server, such as `https://pbs.example.org:8007`.", extra={"unset": "needed"}),
    ]
    token_id: Annotated[
        str,
        Meta(description="Id of the API token, such as `lastgood@pbs!read`.", extra={"unset": "needed"}),
    ]
    token_secret: Annotated[Secret, Meta(description="Secret of the API token.", extra={"unset": "needed"})]
    verify_tls: Annotated[
        bool,
        Meta(
            description="`false` accepts any certificate, with a warning; better set `fingerprint` or `ca_file`, "
            "which win over it."
        ),
    ] = True
    ca_file: Annotated[
        Path | None,
        Meta(
            description="PEM file with the certificate, or its issuer, to trust.",
            extra={"unset": "the system's certificates"},
        ),
    ] = None
    fingerprint: Annotated[
        str | None,
        Meta(
            description="SHA-256 fingerprint of the server's certificate, as its dashboard shows it; nothing is sent "
            "to a server with another one.",
            extra={"unset": "no pin"},
        ),
    ] = None
    timeout_seconds: Annotated[int, Meta(ge=1, le=300, description="Seconds that a small call may take.")] = 5
    snapshot_history_limit: Annotated[
        int,
        Meta(
            ge=0,
            description="How many snapshots of each group `pbs_snapshot_*` tells, newest first; 0 is all, up to "
            f"{SNAPSHOT_ROWS:,} a server.",
        ),
    ] = 0
    archived: Annotated[
        tuple[str, ...],
        Meta(
            description="Groups of which no more backups are to come, by pattern: `vm/100`, `main/prod/ct/*`.",
            extra={"unset": "none"},
        ),
    ] = ()
    targets: Annotated[
        Mapping[str, float],
        Meta(
            description='How old the last good backup of a group may become, by pattern: `"vm/*" = "26h"`; the first '
            "that fits counts. In the environment `vm/*=26h, ct/*=50h`.",
            extra={"unset": "each group's own rhythm"},
        ),
    ] = {}
    expected_off: Annotated[
        bool,
        Meta(description="Whether the server is switched off on purpose at times, so that its silence is no alert."),
    ] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerKind:
    """``[section]`` and ``[section.several.NAME]``.

    ``fault`` is what cannot work in one, as "KEY ..."; ``risk`` what an operator should be told. ``address`` is the
    key that says where it is.
    """

    section: str
    several: str
    struct: type[Any]
    purpose: str
    fault: Callable[[Any], str | None]
    risk: Callable[[Any], str | None]
    address: str = "endpoint"


class Servers(Struct, frozen=True, kw_only=True):
    """All servers that are configured, by kind."""

    pbs: tuple[PbsServer, ...] = ()


def _pbs_fault(server: PbsServer) -> str | None:
    if (why := _no_endpoint(server.endpoint)) is not None:
        return f"endpoint {why}"
    if not _TOKEN_ID.fullmatch(server.token_id):
        return "token_id is not the id of an API token, user@realm!name, such as lastgood@pbs!read"
    if not _SECRET.fullmatch(server.token_secret.reveal()):
        return "token_secret holds blanks or characters outside ASCII; copy the secret of the token anew"
    if server.fingerprint is not None and not _PIN.fullmatch(server.fingerprint.replace(":", "")):
        return "fingerprint is not a SHA-256 fingerprint: 32 pairs of hexadecimal digits, as the dashboard shows them"
    return None


def _no_endpoint(text: str) -> str | None:
    """Why this is not the address of a server."""
    try:
        parts = urlsplit(text)
        host, _, _ = parts.netloc.rpartition(":") if parts.port is not None else (parts.netloc, "", "")
    except ValueError:
        return "is not an address such as https://pbs.example.org:8007"
    if parts.scheme == "http":
        return "begins with http://, over which the token would travel in clear; write https://"
    if parts.scheme != "https" or not _HOST.fullmatch(host):
        return "is not an address such as https://pbs.example.org:8007, without user and password"
    if parts.path.rstrip("/") or parts.query or parts.fragment:
        return f"must have no path: write https://{parts.netloc}"
    return None


def _pbs_risk(server: PbsServer) -> str | None:
    if server.verify_tls or server.ca_file is not None or server.fingerprint is not None:
        return None
    return (
        f"verify_tls is false, so anybody between here and {server.endpoint} can read its token; set fingerprint "
        "or ca_file instead"
    )


SERVER_KINDS: tuple[ServerKind, ...] = (
    ServerKind(
        section="pbs",
        several="servers",
        struct=PbsServer,
        purpose="A Proxmox Backup Server to ask; several stand below `[pbs.servers.NAME]`, each with the same keys.",
        fault=_pbs_fault,
        risk=_pbs_risk,
    ),
)

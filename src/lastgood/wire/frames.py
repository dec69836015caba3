"""Every message between hub and agent, as msgspec structs; JSON text frames on the WebSocket ``/ws/agent``.

Order of a connection: hub sends ``Challenge``; agent answers ``Hello``; hub answers ``Welcome`` or ``Refuse``; then
``Assignment`` follows, and frames flow both ways. What must not be lost travels inside ``Report`` with the agent's
spool id and a sequence number, and leaves the spool when ``Ack`` names it. Unknown fields are ignored, so that a
newer side may say more; an unknown tag is answered with ``Refuse``.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec

from lastgood.model.docker import Engine, Inventory
from lastgood.model.host import AgentInfo
from lastgood.model.job import Run, RunKind, RunStart, Schedule
from lastgood.model.repository import Lock, Probe, SnapshotSeries
from lastgood.model.retention import Retention
from lastgood.model.stack import Deploy, DeployStart, StackAction

PROTOCOL = 1
OLDEST_PROTOCOL = 1
FRAME_LIMIT = 1024 * 1024
"""No frame is larger than 1 MiB; both sides close the connection on a larger one."""

HELLO_CONTEXT = "lastgood agent hello v1"
WELCOME_CONTEXT = "lastgood hub welcome v1"
REFUSE_CONTEXT = "lastgood hub refuse v1"
"""Signed are (context, hub nonce, agent nonce, hub key, agent key, host id): no signature fits anywhere else."""


class Frame(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type"):
    """Base of all frames."""


# --- hub to agent ------------------------------------------------------------------------------------------------


class Challenge(Frame, frozen=True, kw_only=True, tag="challenge"):
    """First frame of a connection. Keys, nonces and signatures are base64 text."""

    protocol: int
    oldest_protocol: int
    hub_key: str
    nonce: str


class Welcome(Frame, frozen=True, kw_only=True, tag="welcome"):
    """``acknowledged`` is the highest committed sequence number of the spool that ``Hello`` named, 0 if none."""

    protocol: int
    hub_version: str
    signature: str
    acknowledged: int
    heartbeat_seconds: float
    sent_at: datetime


class Refuse(Frame, frozen=True, kw_only=True, tag="refuse"):
    """Why the hub ends the connection. ``final`` means that trying again changes nothing.

    An agent believes ``final`` only where ``signature`` (over the signed parts and the reason) is the hub's: nobody
    else can stop an agent for good. A refusal before ``Hello`` has no nonces to sign and is never final.
    """

    reason: str
    final: bool
    signature: str = ""


class Held(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Credentials that the hub holds: a repository's password, and the store's variables (``AWS_*`` and the like)."""

    password: str
    environment: dict[str, str] = {}

    def __repr__(self) -> str:
        return "Held(...)"


class RepositoryAccess(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How an agent reaches a repository.

    ``password_file`` and ``environment_file`` (lines ``NAME=value``) are files on the agent's host, mode 0600;
    ``held`` and ``admin`` are what the hub holds and pushes instead. ``watch`` asks for looks into a repository that
    no order names.
    """

    id: str
    name: str
    url: str
    password_file: str | None = None
    environment_file: str | None = None
    held: Held | None = None
    admin: Held | None = None
    initialise: bool = False
    watch: bool = False


class Order(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One standing order: back up ``paths`` into ``repository_id`` by ``schedule`` (None: only when asked)."""

    source_id: str
    name: str
    repository_id: str
    restic_host: str
    tag: str
    paths: tuple[str, ...]
    excludes: tuple[str, ...] = ()
    schedule: Schedule | None = None
    paused_until: datetime | None = None
    keep: Retention | None = None


class Assignment(Frame, frozen=True, kw_only=True, tag="assignment"):
    """All that this host is to do; replaces what it knew. The agent keeps it and goes on while the hub is away."""

    version: str
    repositories: tuple[RepositoryAccess, ...]
    orders: tuple[Order, ...]


class RestoreWish(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What to restore: a snapshot's id (or ``latest`` of the source), some paths of it or all, into a new folder."""

    snapshot: str
    target: str
    include: tuple[str, ...] = ()


class RunNow(Frame, frozen=True, kw_only=True, tag="run_now"):
    """A person's wish: run ``kind`` once. The run's id is minted by the hub, which is who starts it.

    A resend of an id that the agent has seen does nothing. ``check_subset`` is restic's ``--read-data-subset``;
    ``restore`` says what a run of that kind restores.
    """

    run_id: str
    kind: RunKind
    source_id: str | None = None
    repository_id: str | None = None
    check_subset: str | None = None
    restore: RestoreWish | None = None


class CancelRun(Frame, frozen=True, kw_only=True, tag="cancel_run"):
    run_id: str


class LookNow(Frame, frozen=True, kw_only=True, tag="look_now"):
    """Survey this repository soon: probe, snapshots, locks.

    With ``answer_to`` somebody waits: the agent looks by ``access``, whatever its orders are, and says in
    ``Tested`` what it saw; nothing of it is kept.
    """

    repository_id: str
    answer_to: str | None = None
    access: RepositoryAccess | None = None


class DeployNow(Frame, frozen=True, kw_only=True, tag="deploy_now"):
    """A person's wish: deploy, stop or restart a compose project once. Sent only to agents that know of ``stacks``.

    A resend of an id that the agent has seen does nothing. ``text`` and ``env`` are the compose file and
    its ``.env``; ``wait`` waits until all is healthy. ``take_over`` allows a project made from another folder.
    ``CancelRun`` with this id ends it.
    """

    id: str
    action: StackAction
    project: str
    text: str | None = None
    env: str | None = None
    text_number: int | None = None
    wait: bool = True
    take_over: bool = False
    seconds: float = 900.0

    def __repr__(self) -> str:
        return f"DeployNow(id={self.id!r}, action={self.action.value!r}, project={self.project!r}, ...)"


class Ack(Frame, frozen=True, kw_only=True, tag="ack"):
    """Every report of the spool up to ``sequence`` is committed."""

    sequence: int


class Ping(Frame, frozen=True, kw_only=True, tag="ping"):
    nonce: str


# --- agent to hub ------------------------------------------------------------------------------------------------


class Hello(Frame, frozen=True, kw_only=True, tag="hello"):
    """``spool_id`` is a ULID minted when the spool was made, ``last_sequence`` the highest number it gave out."""

    protocol: int
    host_id: str
    key: str
    nonce: str
    signature: str
    info: AgentInfo
    hostname: str
    spool_id: str
    last_sequence: int
    sent_at: datetime
    assignment_version: str | None = None
    running: tuple[str, ...] = ()


class Heartbeat(Frame, frozen=True, kw_only=True, tag="heartbeat"):
    """Every 30 s; ``last_sequence`` lets the hub see whether it is owed reports."""

    sent_at: datetime
    last_sequence: int


class Pong(Frame, frozen=True, kw_only=True, tag="pong"):
    nonce: str


class Progress(Frame, frozen=True, kw_only=True, tag="progress"):
    """How far a run is; at most one a second, never kept. ``fraction`` never falls within a run."""

    run_id: str
    source_id: str
    fraction: float
    files_done: int
    files_total: int
    bytes_done: int
    bytes_total: int
    seconds_remaining: float | None = None
    current: str | None = None


class Applied(Frame, frozen=True, kw_only=True, tag="applied"):
    """The assignment of this version is in force. ``refused`` names what the agent will not do and why."""

    version: str
    refused: tuple[str, ...] = ()


class Tested(Frame, frozen=True, kw_only=True, tag="tested"):
    """What a look saw that somebody waits for; not kept. ``snapshots``, ``locks``: None if it got no further."""

    answer_to: str
    probe: Probe
    message: str | None = None
    identity: str | None = None
    snapshots: int | None = None
    locks: tuple[Lock, ...] | None = None


class DeployWords(Frame, frozen=True, kw_only=True, tag="deploy_words"):
    """Lines that compose wrote, secrets masked, never kept: ``first`` is the number of the first, from 0. Numbers
    that are missing were too many, or were lost on the way; the whole comes with the end."""

    id: str
    first: int
    lines: tuple[str, ...]


class Started(msgspec.Struct, frozen=True, kw_only=True, tag="started", tag_field="kind"):
    run: RunStart


class Finished(msgspec.Struct, frozen=True, kw_only=True, tag="finished", tag_field="kind"):
    """``log`` is the head and tail of what the tool wrote, redacted, at most 64 KiB."""

    run: Run
    log: str = ""


class Probed(msgspec.Struct, frozen=True, kw_only=True, tag="probed", tag_field="kind"):
    repository_id: str
    probe: Probe
    probed_at: datetime
    identity: str | None = None
    message: str | None = None


class Sized(msgspec.Struct, frozen=True, kw_only=True, tag="sized", tag_field="kind"):
    repository_id: str
    sized_at: datetime
    size_bytes: int
    uncompressed_bytes: int | None = None
    snapshots: int | None = None


class Locks(msgspec.Struct, frozen=True, kw_only=True, tag="locks", tag_field="kind"):
    repository_id: str
    listed_at: datetime
    locks: tuple[Lock, ...]


class Snapshots(msgspec.Struct, frozen=True, kw_only=True, tag="snapshots", tag_field="kind"):
    """A survey. At most 1,000 series with at most 10 newest snapshots each; then ``truncated`` is true.

    ``duplicates`` are snapshots that stand there a second time (same tree, host and moment); series count them once.
    """

    repository_id: str
    listed_at: datetime
    total: int
    series: tuple[SnapshotSeries, ...]
    truncated: bool = False
    duplicates: int = 0


class Docker(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="docker", tag_field="kind"):
    """A survey of the host's engine; ``inventory`` is None while only the engine itself is told of."""

    listed_at: datetime
    engine: Engine
    inventory: Inventory | None = None


class DeployBegun(msgspec.Struct, frozen=True, kw_only=True, tag="deploy_begun", tag_field="kind"):
    deploy: DeployStart


class DeployEnded(msgspec.Struct, frozen=True, kw_only=True, tag="deploy_ended", tag_field="kind"):
    """``log`` is the head and tail of what compose wrote, secrets masked, at most 64 KiB."""

    deploy: Deploy
    log: str = ""


Said = Started | Finished | Probed | Sized | Locks | Snapshots | Docker | DeployBegun | DeployEnded


class Report(Frame, frozen=True, kw_only=True, tag="report"):
    """Something durable: spooled before it was sent, kept until acknowledged."""

    sequence: Annotated[int, msgspec.Meta(ge=1)]
    said: Said


ToAgent = Challenge | Welcome | Refuse | Assignment | RunNow | CancelRun | LookNow | DeployNow | Ack | Ping
ToHub = Hello | Heartbeat | Pong | Progress | Applied | Tested | DeployWords | Report

_to_agent: msgspec.json.Decoder[ToAgent] = msgspec.json.Decoder(ToAgent)
_to_hub: msgspec.json.Decoder[ToHub] = msgspec.json.Decoder(ToHub)
_encoder = msgspec.json.Encoder()


def encode(frame: Frame) -> bytes:
    """The frame as UTF-8 JSON."""
    return _encoder.encode(frame)


def decode_to_hub(data: bytes | str) -> ToHub:
    """A frame that an agent sent; raises ``msgspec.DecodeError`` (or its ``ValidationError``) on anything else."""
    return _to_hub.decode(data)


def decode_to_agent(data: bytes | str) -> ToAgent:
    """A frame that the hub sent; raises ``msgspec.DecodeError`` (or its ``ValidationError``) on anything else."""
    return _to_agent.decode(data)


def signed_parts(hub_nonce: str, agent_nonce: str, hub_key: str, agent_key: str, host_id: str) -> tuple[bytes, ...]:
    """What both sides sign, each under its own context."""
    return tuple(part.encode() for part in (hub_nonce, agent_nonce, hub_key, agent_key, host_id))


def refusal_parts(parts: tuple[bytes, ...], reason: str, *, final: bool) -> tuple[bytes, ...]:
    """What the hub signs when it refuses: the connection's signed parts, the reason, and whether it is final."""
    return (*parts, reason.encode(), b"final" if final else b"again")

"""The agent's half of the greeting: check the challenge, say hello, believe the welcome only if the hub signed it.

A connected WebSocket and the pinned key of the hub come in, a checked ``Welcome`` goes out. The one rule: nothing but
``Hello`` is sent before the hub has proved that it holds the pinned key. Protocol of ``wire/frames.py``.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import msgspec

from lastgood.auth.identity import KEY_BYTES, KeyPair, fingerprint, sign, verify
from lastgood.errors import LastgoodError, WireError
from lastgood.wire import frames
from lastgood.wire.frames import Challenge, Hello, Refuse, ToAgent, Welcome

CHALLENGE_SECONDS = 10.0
WELCOME_SECONDS = 30.0
"""Longer: the hub first settles an older connection of ours, and looks up our marks in its database."""

_F = TypeVar("_F")


class HubRefused(LastgoodError):
    """The hub said no and proved that it is the hub; trying again changes nothing."""


class Socket(Protocol):
    """What the greeting needs of a WebSocket."""

    async def recv(self) -> str | bytes: ...
    async def send(self, message: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinned:
    """Who we are, and which hub we belong to."""

    host_id: str
    keys: KeyPair
    hub_key: bytes


@dataclass(frozen=True, slots=True)
class Proof:
    """What both sides sign in this connection, to check what the hub says later."""

    hub_key: bytes
    parts: tuple[bytes, ...]

    def is_welcome(self, welcome: Welcome) -> bool:
        return verify(self.hub_key, from_text(welcome.signature), frames.WELCOME_CONTEXT, *self.parts)

    def is_final(self, refuse: Refuse) -> bool:
        """Whether the hub itself said that trying again changes nothing."""
        parts = frames.refusal_parts(self.parts, refuse.reason, final=True)
        return refuse.final and verify(self.hub_key, from_text(refuse.signature), frames.REFUSE_CONTEXT, *parts)


Compose = Callable[[int, str, str], Awaitable[Hello]]
"""``compose(protocol, nonce, signature)``: the whole hello, with what the agent is and has just now."""


async def greet(socket: Socket, pinned: Pinned, compose: Compose) -> tuple[Welcome, Proof]:
    """Greet the hub. Raises HubRefused for good, WireError if another try may go better."""
    challenge = await _next(socket, CHALLENGE_SECONDS, Challenge, None)
    hub_key = from_text(challenge.hub_key)
    if hub_key != pinned.hub_key:
        raise WireError(
            f"The hub shows the key {fingerprint(hub_key)}, and this agent belongs to {fingerprint(pinned.hub_key)}; "
            "find out who answers at this address, or enrol the agent again."
        )
    if challenge.protocol < frames.OLDEST_PROTOCOL:
        raise WireError(
            f"The hub is too old: it speaks protocol {challenge.protocol}, this agent {frames.OLDEST_PROTOCOL} to "
            f"{frames.PROTOCOL}; update the hub."
        )
    nonce, key = to_text(os.urandom(KEY_BYTES)), to_text(pinned.keys.public_key)
    parts = frames.signed_parts(challenge.nonce, nonce, challenge.hub_key, key, pinned.host_id)
    signature = to_text(sign(pinned.keys.private_key, frames.HELLO_CONTEXT, *parts))
    hello = await compose(min(frames.PROTOCOL, challenge.protocol), nonce, signature)
    await socket.send(frames.encode(hello).decode())
    proof = Proof(pinned.hub_key, parts)
    welcome = await _next(socket, WELCOME_SECONDS, Welcome, proof)
    if not proof.is_welcome(welcome):
        raise WireError("The hub did not prove that it holds its key; find out who answers at this address.")
    return welcome, proof


def decode(data: str | bytes) -> ToAgent:
    """A frame of the hub; raises WireError if it cannot be read."""
    try:
        return frames.decode_to_agent(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(
            f"The hub sent a frame that this agent cannot read ({error}); update the older of both."
        ) from error


def refusal(refuse: Refuse, proof: Proof | None) -> LastgoodError:
    """The error that a refusal means."""
    if proof is not None and proof.is_final(refuse):
        return HubRefused(refuse.reason)
    return WireError(f"The hub refused: {refuse.reason}")


def to_text(raw: bytes) -> str:
    """Bytes as frames carry them."""
    return base64.b64encode(raw).decode()


def from_text(text: str) -> bytes:
    """The bytes of a frame's text; empty, which fits no key, if it is not base64."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


async def _next(socket: Socket, seconds: float, wanted: type[_F], proof: Proof | None) -> _F:
    try:
        async with asyncio.timeout(seconds):
            frame = decode(await socket.recv())
    except TimeoutError as error:
        raise WireError(f"The hub said nothing for {seconds:g} s; check what answers at its address.") from error
    if isinstance(frame, Refuse):
        raise refusal(frame, proof)
    if not isinstance(frame, wanted):
        raise WireError(
            f"The hub sent {type(frame).__name__} where {wanted.__name__} was due; update the older of both."
        )
    return frame

"""Who is calling: challenge, hello, and either proof or a refusal with its reason.

First part of every session: an accepted WebSocket in, an authenticated ``Greeting`` out. The one rule: until the
signature is checked nothing that came is believed or kept. Both sides sign, so both know whom they talk to; refusals
after a hello are signed too. Protocol of ``wire/frames.py``.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import os
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from lastgood.auth.identity import KEY_BYTES, KeyPair, sign, verify
from lastgood.errors import WireError
from lastgood.hub.socket import BROKEN, REFUSED, TOO_LARGE, TRY_AGAIN, Socket
from lastgood.ids import is_ulid
from lastgood.model.host import Host
from lastgood.wire import frames
from lastgood.wire.frames import Challenge, Hello, Refuse, ToHub
from lastgood.wire.moments import all_have_zones

FindHost = Callable[[str], Host | None]


class Refusal(WireError):
    """The connection is ended with a reason. ``signing`` is None while there is nothing to sign with."""

    def __init__(self, reason: str, *, final: bool, code: int = REFUSED, signing: Signing | None = None) -> None:
        super().__init__(reason, code=code)
        self.final = final
        self.signing = signing


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    """The hub's key and what both sides sign in this connection."""

    keys: KeyPair
    parts: tuple[bytes, ...]

    def welcome(self) -> str:
        return _text(sign(self.keys.private_key, frames.WELCOME_CONTEXT, *self.parts))

    def refuse(self, reason: str, *, final: bool) -> Refuse:
        parts = frames.refusal_parts(self.parts, reason, final=final)
        signature = sign(self.keys.private_key, frames.REFUSE_CONTEXT, *parts)
        return Refuse(reason=reason, final=final, signature=_text(signature))


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeting:
    """An agent that proved to be ``host``'s."""

    host: Host
    hello: Hello
    signing: Signing


class _FirstWords(msgspec.Struct):
    """What even a foreign protocol's hello is asked for, so that it gets a useful answer."""

    type: str = ""
    protocol: int | None = None


async def greet(socket: Socket, keys: KeyPair, find_host: FindHost, hello_seconds: float) -> Greeting:
    """Exchange challenge and hello; raises Refusal, or SocketClosed if the caller went away."""
    nonce = _text(os.urandom(KEY_BYTES))
    hub_key = _text(keys.public_key)
    challenge = Challenge(
        protocol=frames.PROTOCOL, oldest_protocol=frames.OLDEST_PROTOCOL, hub_key=hub_key, nonce=nonce
    )
    try:
        async with asyncio.timeout(hello_seconds):
            await socket.send(frames.encode(challenge))
            data = await socket.receive()
    except TimeoutError as error:
        raise Refusal(
            f"No hello came within {hello_seconds:g} s of the challenge; check that an agent is calling.", final=False
        ) from error
    hello = _hello(data)
    parts = frames.signed_parts(nonce, hello.nonce, hub_key, hello.key, hello.host_id)
    signing = Signing(keys=keys, parts=parts)
    _check_protocol(hello.protocol, signing)
    return Greeting(host=_proven(hello, find_host, signing), hello=hello, signing=signing)


def decode(data: str | bytes) -> ToHub:
    """A frame of an agent; raises Refusal if it is too large or cannot be read."""
    size = len(data) if isinstance(data, bytes) or len(data) <= frames.FRAME_LIMIT // 4 else len(data.encode())
    if size > frames.FRAME_LIMIT:
        raise Refusal(
            f"A frame of {size} bytes came, and no frame may have more than {frames.FRAME_LIMIT}; update the agent.",
            final=False,
            code=TOO_LARGE,
        )
    try:
        frame = frames.decode_to_hub(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal(
            f"A frame came that this hub cannot read ({error}); update the older of hub and agent.",
            final=False,
            code=BROKEN,
        ) from error
    if not all_have_zones(frame):
        raise Refusal(
            "A frame came that names a moment without its time zone; update the agent.", final=False, code=BROKEN
        )
    return frame


def try_again(problem: str, signing: Signing | None) -> Refusal:
    """Something of ours failed; the agent keeps what it has and comes back."""
    return Refusal(f"try again: {problem}", final=False, code=TRY_AGAIN, signing=signing)


def _hello(data: str | bytes) -> Hello:
    try:
        frame = decode(data)
    except Refusal:
        _check_foreign(data)
        raise
    if not isinstance(frame, Hello):
        raise Refusal("The first frame must be a hello; check that an agent is calling.", final=False, code=BROKEN)
    if not is_ulid(frame.spool_id):
        raise Refusal("The hello names no spool; update the agent.", final=False, code=BROKEN)
    return frame


def _check_foreign(data: str | bytes) -> None:
    """Raises the refusal about versions if this is the hello of a protocol that we do not speak."""
    try:
        words = msgspec.json.decode(data[: frames.FRAME_LIMIT], type=_FirstWords)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    if words.type == "hello" and words.protocol is not None:
        _check_protocol(words.protocol, None)


def _check_protocol(protocol: int, signing: Signing | None) -> None:
    spoken = f"protocol {protocol}, and this hub speaks {frames.OLDEST_PROTOCOL} to {frames.PROTOCOL}"
    if protocol < frames.OLDEST_PROTOCOL:
        raise Refusal(f"The agent is too old: it speaks {spoken}; update the agent.", final=True, signing=signing)
    if protocol > frames.PROTOCOL:
        raise Refusal(f"The agent is too new: it speaks {spoken}; update the hub.", final=True, signing=signing)


def _proven(hello: Hello, find_host: FindHost, signing: Signing) -> Host:
    host = find_host(hello.host_id)
    if host is None:
        raise Refusal(
            f"No host {hello.host_id[:40]!r} is enrolled here; enrol this agent again.", final=True, signing=signing
        )
    if hello.key not in (host.key, host.next_key):
        raise Refusal(
            f"The key is not the one with which {host.name} was enrolled; enrol this agent again, with a code of: "
            f"lastgood enrol-code create --host {host.id}",
            final=True,
            signing=signing,
        )
    key, signature = _bytes(hello.key), _bytes(hello.signature)
    if not verify(key, signature, frames.HELLO_CONTEXT, *signing.parts):
        raise Refusal(
            f"The signature does not fit the key of {host.name}; restore the agent's key file or enrol it again.",
            final=True,
            signing=signing,
        )
    return host


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""

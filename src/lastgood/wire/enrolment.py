"""How a machine becomes a host: the few requests between an agent and a hub that do not know each other yet.

JSON bodies of HTTP requests below ``/api/v1/enrol``; keys, nonces and signatures are base64 text. The one rule: each
side signs what it says together with both keys, under a context of its own, so that nobody in between can put in a
name, a key or an answer of theirs. A code ends in the fingerprint of the hub's key, which the agent pins.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec

PATH = "/api/v1/enrol"
ANNOUNCE_PATH = "/api/v1/enrol/announce"
REKEY_PATH = "/api/v1/enrol/rekey"

REDEEM_CONTEXT = "lastgood agent enrol v1"
ENROLLED_CONTEXT = "lastgood hub enrolled v1"
ANNOUNCE_CONTEXT = "lastgood agent announce v1"
ANNOUNCED_CONTEXT = "lastgood hub announced v1"
REKEY_CONTEXT = "lastgood agent rekey v1"
REKEYED_CONTEXT = "lastgood hub rekeyed v1"

_FINGERPRINT = "SHA256:"
_CODE = re.compile(r"(lg_enrol_[A-Za-z0-9_-]{32})_([A-Za-z0-9_-]{43})")

Text = Annotated[str, msgspec.Meta(max_length=300)]
Word = Annotated[str, msgspec.Meta(max_length=64)]


@dataclass(frozen=True, slots=True)
class Code:
    """An enrolment code taken apart: the secret half, and which hub it belongs to. Kept out of ``repr``."""

    token: str
    hub: str

    def __repr__(self) -> str:
        return "Code(...)"


def compose_code(token: str, fingerprint: str) -> str:
    """The code that is handed to a person: one word, safe in shells and URLs."""
    return f"{token}_{fingerprint.removeprefix(_FINGERPRINT).replace('+', '-').replace('/', '_')}"


def read_code(text: str) -> Code | None:
    """The parts of a code; None if it is none, for instance one that was cut while it was copied."""
    found = _CODE.fullmatch(text.strip())
    if found is None:
        return None
    return Code(token=found[1], hub=_FINGERPRINT + found[2].replace("-", "+").replace("_", "/"))


class Redeem(msgspec.Struct, frozen=True, kw_only=True):
    """An agent's wish to become a host. ``name`` None leaves it to the code, or else to the machine's own name."""

    code: Text
    key: Word
    nonce: Word
    signature: Annotated[str, msgspec.Meta(max_length=100)]
    hostname: Text
    name: Text | None = None

    def parts(self, hub: str) -> tuple[bytes, ...]:
        """What the agent signs; ``hub`` is the fingerprint that it holds for the hub's."""
        return _parts(hub, self.key, self.nonce, self.code, self.name or "", self.hostname)


class Enrolled(msgspec.Struct, frozen=True, kw_only=True):
    """The machine is a host now; ``signature`` proves that this very hub says so to this very agent."""

    host_id: str
    name: str
    hub_key: str
    signature: str = ""

    def parts(self, asked: Redeem) -> tuple[bytes, ...]:
        return _parts(self.hub_key, asked.key, asked.nonce, self.host_id, self.name)


class Announce(msgspec.Struct, frozen=True, kw_only=True):
    """A machine asks to be let in, and asks again how that stands. ``system`` is what it runs, in words."""

    key: Word
    nonce: Word
    signature: Annotated[str, msgspec.Meta(max_length=100)]
    hostname: Text
    name: Text | None = None
    agent_version: Word = ""
    system: Word = ""

    def parts(self) -> tuple[bytes, ...]:
        return _parts(self.key, self.nonce, self.name or "", self.hostname, self.agent_version, self.system)


class Announced(msgspec.Struct, frozen=True, kw_only=True):
    """How an announcement stands. ``host_id`` is set once it is approved; ask again after ``again_seconds``."""

    state: Literal["waiting", "approved", "rejected"]
    pending_id: str
    name: str
    hub_key: str
    host_id: str = ""
    again_seconds: float = 5.0
    signature: str = ""

    def parts(self, asked: Announce) -> tuple[bytes, ...]:
        return _parts(self.hub_key, asked.key, asked.nonce, self.state, self.pending_id, self.host_id, self.name)


class Rekey(msgspec.Struct, frozen=True, kw_only=True):
    """A host's agent changes its key: ``offer`` makes the new one known beside the old, ``use`` ends the old one.

    An offer is signed with the key in force and with the new one, a use with the new one alone.
    """

    step: Literal["offer", "use"]
    host_id: Word
    new_key: Word
    nonce: Word
    new_signature: Annotated[str, msgspec.Meta(max_length=100)]
    signature: Annotated[str, msgspec.Meta(max_length=100)] = ""

    def parts(self, hub: str) -> tuple[bytes, ...]:
        return _parts(hub, self.host_id, self.new_key, self.nonce, self.step)


class Rekeyed(msgspec.Struct, frozen=True, kw_only=True):
    """The step was taken, and is on the hub's disk."""

    hub_key: str
    signature: str = ""

    def parts(self, asked: Rekey) -> tuple[bytes, ...]:
        return _parts(self.hub_key, asked.host_id, asked.new_key, asked.nonce, asked.step)


def text_of(raw: bytes) -> str:
    """Bytes as these bodies carry them."""
    return base64.b64encode(raw).decode()


def bytes_of(text: str) -> bytes:
    """The bytes of such a text; empty, which fits no key, if it is not base64."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _parts(*words: str) -> tuple[bytes, ...]:
    return tuple(word.encode("utf-8", "surrogatepass") for word in words)

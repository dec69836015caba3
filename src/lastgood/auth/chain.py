"""The hash chain of the audit log: how a row is hashed and sealed, how heads and checkpoints are signed. Pure.

Comes in: rows as the database holds them, keys. Goes out: hashes, seals, signatures. The one rule: a row is hashed
over MessagePack in its shortest forms, which gives each field type and length, so that no two rows share a hash.
Format: SHA-256 over the array (FORMAT, the first 15 of ``COLUMNS``); a seal is HMAC-SHA-256 over that hash.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from lastgood.auth.identity import KeyPair, fingerprint, sign, verify
from lastgood.auth.secrets import subkey

FORMAT = "lastgood audit 1"

COLUMNS = (
    "seq",
    "at",
    "action",
    "outcome",
    "begun",
    "actor_kind",
    "actor_id",
    "actor_name",
    "target_kind",
    "target_id",
    "target_name",
    "address",
    "request_id",
    "details",
    "prev_hash",
    "row_hash",
    "seal",
)
HASHED = 15
"""So many columns are hashed: all but the hash and the seal."""

SEQ, AT, ACTION, OUTCOME, BEGUN, DETAILS = 0, 1, 2, 3, 4, 13
PREVIOUS, HASH, SEAL = 14, 15, 16

_HEAD = "audit head"
_CHECKPOINT = "audit checkpoint"
_encode = msgspec.msgpack.Encoder().encode


@dataclass(frozen=True, slots=True)
class ChainKeys:
    """Where a chain begins and what seals its rows; both follow from the secret key file and are in no row."""

    genesis: bytes = field(repr=False)
    seal: bytes = field(repr=False)


def chain_keys(secret_key: bytes) -> ChainKeys:
    return ChainKeys(genesis=subkey(secret_key, "audit genesis"), seal=subkey(secret_key, "audit seal"))


def row_hash(hashed: tuple[Any, ...]) -> bytes:
    """The hash of a row; ``hashed`` are its first ``HASHED`` columns as they are stored."""
    return hashlib.sha256(_encode((FORMAT, *hashed))).digest()


def seal(key: bytes, hash_: bytes) -> bytes:
    """What proves that a row was written with the secret key."""
    return hmac.digest(key, hash_, "sha256")


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """How far the log had come at a moment, signed by the hub; ``key`` is the public key of the hub in base64."""

    seq: int
    hash: str
    at: datetime
    key: str
    signature: str
    version: int = 1

    @property
    def hub(self) -> str:
        """The fingerprint of the key."""
        return fingerprint(_raw(self.key))


def sign_head(keys: KeyPair, seq: int, hash_: bytes, at: datetime) -> Head:
    signature = sign(keys.private_key, _HEAD, *_head_parts(seq, hash_.hex(), at))
    return Head(seq=seq, hash=hash_.hex(), at=at, key=_text(keys.public_key), signature=_text(signature))


def head_is_signed(head: Head, public_key: bytes | None = None) -> bool:
    """Whether the key named in it signed it, and that is ``public_key`` where one is given."""
    key = _raw(head.key)
    if public_key is not None and key != public_key:
        return False
    return verify(key, _raw(head.signature), _HEAD, *_head_parts(head.seq, head.hash, head.at))


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """The details of a row behind which older rows were removed: the last of them, and how many went at once."""

    removed_upto: int
    removed_hash: str
    removed: int
    key: str = ""
    signature: str = ""


def sign_checkpoint(keys: KeyPair, removed_upto: int, removed_hash: bytes, removed: int) -> Checkpoint:
    made = Checkpoint(removed_upto=removed_upto, removed_hash=removed_hash.hex(), removed=removed)
    signature = sign(keys.private_key, _CHECKPOINT, *_checkpoint_parts(made))
    return msgspec.structs.replace(made, key=_text(keys.public_key), signature=_text(signature))


def checkpoint_is_signed(made: Checkpoint, public_key: bytes | None = None) -> bool:
    key = _raw(made.key)
    if public_key is not None and key != public_key:
        return False
    return verify(key, _raw(made.signature), _CHECKPOINT, *_checkpoint_parts(made))


def sign_restore(secret_key: bytes, made_at: datetime, restored_at: datetime) -> str:
    """What proves that whoever holds the secret key restored a backup of this moment."""
    parts = _encode((FORMAT, made_at.isoformat(), restored_at.isoformat()))
    return hmac.digest(subkey(secret_key, "audit restore"), parts, "sha256").hex()


def restore_is_signed(secret_key: bytes, made_at: datetime, restored_at: datetime, proof: str) -> bool:
    expected = sign_restore(secret_key, made_at, restored_at)
    return hmac.compare_digest(expected.encode(), proof.encode("utf-8", "replace"))


def _head_parts(seq: int, hash_: str, at: datetime) -> tuple[bytes, ...]:
    return str(seq).encode(), hash_.encode(), at.isoformat().encode()


def _checkpoint_parts(made: Checkpoint) -> tuple[bytes, ...]:
    return str(made.removed_upto).encode(), made.removed_hash.encode(), str(made.removed).encode()


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _raw(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return b""

"""The keys by which hub and agents know each other: minted, named, used to sign and to check.

Comes in: challenges and 32-byte keys. Goes out: signatures, yes and no, fingerprints that people compare.
The one rule: what is signed names its context and the length of each part, so that a signature given for one
message never serves for another. Follows Ed25519 (RFC 8032); fingerprints look like OpenSSH's.
"""

from __future__ import annotations

import base64
import hashlib
import os
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

KEY_BYTES = 32

_DOMAIN = b"lastgood signature 1"


@dataclass(frozen=True, slots=True)
class KeyPair:
    """Raw Ed25519 keys; the private one stays out of ``repr``."""

    private_key: bytes = field(repr=False)
    public_key: bytes

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.public_key)


def mint_key_pair(entropy: bytes | None = None) -> KeyPair:
    """A new pair; ``entropy`` is the 32 bytes of the private key, taken from the system if absent."""
    return key_pair(os.urandom(KEY_BYTES) if entropy is None else entropy)


def key_pair(private_key: bytes) -> KeyPair:
    """The pair that belongs to a stored private key of 32 bytes."""
    public = Ed25519PrivateKey.from_private_bytes(private_key).public_key()
    return KeyPair(private_key, public.public_bytes_raw())


def fingerprint(public_key: bytes) -> str:
    """``SHA256:`` and 43 characters of base64."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(public_key).digest()).decode().rstrip("=")


def sign(private_key: bytes, context: str, *parts: bytes) -> bytes:
    """64 bytes that prove the holder of ``private_key`` meant ``parts`` in ``context``."""
    return Ed25519PrivateKey.from_private_bytes(private_key).sign(_message(context, parts))


def verify(public_key: bytes, signature: bytes, context: str, *parts: bytes) -> bool:
    """Whether ``signature`` was given for exactly this; False too for keys and signatures of a wrong length."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, _message(context, parts))
    except (InvalidSignature, ValueError):
        return False
    return True


def _message(context: str, parts: tuple[bytes, ...]) -> bytes:
    sized = (len(part).to_bytes(8, "big") + part for part in (_DOMAIN, context.encode(), *parts))
    return b"".join(sized)

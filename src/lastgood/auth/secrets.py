"""Tokens minted and recognised, keys derived from the one secret key, and columns sealed with them.

Comes in: the secret key of ``config.keyfile``. Goes out: tokens for people and programs, digests and sealed bytes
for the database. The one rule: each purpose has a key of its own, and a token is stored only as its keyed digest.
Formats: HKDF-SHA-256 (RFC 5869), HMAC-SHA-256, ChaCha20-Poly1305 (RFC 8439); a sealed value is version 1.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from lastgood.errors import ConfigError
from lastgood.secret import Secret

TOKEN_BYTES = 24

_KIND = re.compile(r"[a-z]+")
_VERSION = b"\x01"
_NONCE_BYTES = 12


def mint_token(kind: str, entropy: bytes | None = None) -> Secret:
    """A new token such as ``lg_link_...`` with 192 random bits, safe in URLs and headers."""
    random_bytes = os.urandom(TOKEN_BYTES) if entropy is None else entropy
    if len(random_bytes) != TOKEN_BYTES or not _KIND.fullmatch(kind):
        raise ValueError(f"a token needs a lower-case kind and {TOKEN_BYTES} random bytes")
    return Secret(f"lg_{kind}_{base64.urlsafe_b64encode(random_bytes).decode()}")


def subkey(master: bytes, purpose: str) -> bytes:
    """32 bytes for one purpose, from which neither the secret key nor any other purpose's key can be found."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"lastgood 1 " + purpose.encode()).derive(master)


def key_name(master: bytes) -> str:
    """16 characters that name a secret key without telling it, so that a database can say which one it needs."""
    return subkey(master, "key name")[:8].hex()


def keyed_digest(key: bytes, purpose: str, token: str) -> bytes:
    """What is stored and looked up in place of ``token``: without the key it cannot be made from a guess."""
    label = purpose.encode()
    message = len(label).to_bytes(4, "big") + label + token.encode("utf-8", "surrogatepass")
    return hmac.new(key, message, hashlib.sha256).digest()


class Sealer:
    """Encrypts columns; each value is bound to its row, so that sealed values cannot be swapped between rows."""

    def __init__(self, key: bytes) -> None:
        self._cipher = ChaCha20Poly1305(key)

    def __repr__(self) -> str:
        return "Sealer()"

    def seal(self, row_id: str, plaintext: bytes) -> bytes:
        """``plaintext`` encrypted for the row ``row_id``."""
        nonce = os.urandom(_NONCE_BYTES)
        return _VERSION + nonce + self._cipher.encrypt(nonce, plaintext, _VERSION + row_id.encode())

    def open(self, row_id: str, blob: bytes) -> bytes:
        """What was sealed for ``row_id``; raises ConfigError if the key does not fit or the value was altered."""
        nonce, sealed = blob[1 : 1 + _NONCE_BYTES], blob[1 + _NONCE_BYTES :]
        if blob[:1] != _VERSION or len(nonce) != _NONCE_BYTES:
            raise ConfigError(f"The stored secret of {row_id} has an unknown form; a newer lastgood wrote it.")
        try:
            return self._cipher.decrypt(nonce, sealed, _VERSION + row_id.encode())
        except InvalidTag:
            raise ConfigError(
                f"The stored secret of {row_id} does not open with this secret key file; put back the key file "
                "that belongs to this database, or enter the credentials again."
            ) from None

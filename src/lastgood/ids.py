"""Names that never change: ULIDs minted once, and stable keys made from what a thing is.

A ULID (the public specification, version of 2019) is 48 bits of milliseconds and 80 random bits in
Crockford's base 32, so ids sort by the moment they were minted. Random bytes and the moment are passed in.
"""

from __future__ import annotations

import hashlib
import os
import re
from datetime import datetime

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")


def ulid(at: datetime, entropy: bytes | None = None) -> str:
    """A new ULID for the moment ``at``; ``entropy`` is 10 bytes, taken from the system if absent."""
    random_bytes = os.urandom(10) if entropy is None else entropy
    if len(random_bytes) != 10:
        raise ValueError("a ULID needs exactly 10 bytes of entropy")
    value = int(at.timestamp() * 1000) << 80 | int.from_bytes(random_bytes, "big")
    return "".join(_ALPHABET[value >> shift & 31] for shift in range(125, -5, -5))


def is_ulid(text: str) -> bool:
    """Whether ``text`` has the canonical form of a ULID (26 upper-case characters)."""
    return _ULID.fullmatch(text) is not None


def stable_key(*parts: str) -> str:
    """26 characters that follow from ``parts`` alone, so that replicas and exporters agree without a database.

    Parts are length-prefixed before hashing: ``("ab", "c")`` and ``("a", "bc")`` differ.
    """
    digest = hashlib.sha256()
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "big"))
        digest.update(encoded)
    value = int.from_bytes(digest.digest()[:17], "big") >> 6
    return "".join(_ALPHABET[value >> shift & 31] for shift in range(125, -5, -5))

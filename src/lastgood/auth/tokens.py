"""API tokens: their text, and what is kept in its place.

Comes in: random bytes, or what a caller presents. Goes out: a text such as ``lg_`` with 46 letters and digits, or its
lookup part and keyed digest. The one rule: the text exists only where it was minted; a database that holds lookup
parts and digests, without the secret key file, lets nobody in. Format: ``lg_``, 8 characters to look it up by, 32
secret ones (190 random bits), and the CRC-32 of all before it in 6, base 62, by which typos and scanners know it.
"""

from __future__ import annotations

import hmac
import os
import re
import zlib

from lastgood.auth.secrets import keyed_digest
from lastgood.secret import Secret

PREFIX = "lg_"
LOOKUP_CHARACTERS = 8
SECRET_CHARACTERS = 32
CHECK_CHARACTERS = 6
ENTROPY_BYTES = 40
"""More than the 30 that 40 characters hold, so that no character is likelier than another."""

_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_RANDOM_CHARACTERS = LOOKUP_CHARACTERS + SECRET_CHARACTERS
_SHAPE = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{_RANDOM_CHARACTERS + CHECK_CHARACTERS}}}", re.ASCII)
_PURPOSE = "api token"


def mint(entropy: bytes | None = None) -> Secret:
    """A new token."""
    raw = os.urandom(ENTROPY_BYTES) if entropy is None else entropy
    if len(raw) != ENTROPY_BYTES:
        raise ValueError(f"a token needs {ENTROPY_BYTES} random bytes")
    body = PREFIX + _base62(int.from_bytes(raw, "big"), _RANDOM_CHARACTERS)
    return Secret(body + _check(body))


def lookup_of(text: str) -> str | None:
    """The part by which a whole token is looked up; None for what was mistyped or is no token of ours."""
    if not _SHAPE.fullmatch(text) or _check(text[:-CHECK_CHARACTERS]) != text[-CHECK_CHARACTERS:]:
        return None
    return text[len(PREFIX) : len(PREFIX) + LOOKUP_CHARACTERS]


def digest_of(key: bytes, text: str) -> str:
    """What is kept of a token; ``key`` is the subkey for tokens, which no database holds."""
    return keyed_digest(key, _PURPOSE, text).hex()


def same_digest(kept: str, presented: str) -> bool:
    """Equality whose time does not tell how far the two agree."""
    return hmac.compare_digest(kept.encode(), presented.encode())


def _check(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), CHECK_CHARACTERS)


def _base62(number: int, characters: int) -> str:
    """The last ``characters`` places of a number."""
    places = []
    for _ in range(characters):
        number, place = divmod(number, len(_LETTERS))
        places.append(_LETTERS[place])
    return "".join(reversed(places))

"""Passwords of people: the policy, and argon2id hashes made and checked.

Comes in: what somebody typed. Goes out: a text to store, or yes and no. Each call takes about 0.1 s and 64 MiB,
so callers run it off the event loop, few at a time. The one rule: checking takes as long for an unknown user as
for a known one. Format: the PHC string of argon2id, version 19 (RFC 9106).
"""

from __future__ import annotations

import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from lastgood.errors import AccessError

MIN_CHARACTERS = 12
MAX_CHARACTERS = 1024

_HASHER = PasswordHasher(time_cost=3, memory_cost=64 * 1024, parallelism=4, hash_len=32, salt_len=16)
# The hash of 32 random bytes that nobody kept, made with the same parameters.
_NOBODY = "$argon2id$v=19$m=65536,t=3,p=4$NfCmtWYU9u8+vEIXuxS0tg$7dpsqgdJ9DqmLbz2Zy1/9gXCeiRGR8/1fI1L9506tV4"


def check_policy(password: str) -> None:
    """Raises AccessError (status 400) if ``password`` may not be chosen."""
    if len(password) < MIN_CHARACTERS:
        raise AccessError(f"The password is too short; choose at least {MIN_CHARACTERS} characters.", status=400)
    if len(password) > MAX_CHARACTERS:
        raise AccessError(f"The password is too long; choose at most {MAX_CHARACTERS} characters.", status=400)
    if _typed(password) is None:
        raise AccessError("The password holds characters that are not valid text; type it anew.", status=400)


def hash_password(password: str) -> str:
    """The text to store; raises AccessError if the password is against the policy."""
    check_policy(password)
    return _HASHER.hash(_typed(password) or b"")


def verify_password(stored: str | None, password: str) -> bool:
    """Whether ``password`` belongs to ``stored``; None stands for a user who does not exist and is never right."""
    typed = _typed(password) if len(password) <= MAX_CHARACTERS else None
    try:
        matches = _HASHER.verify(stored or _NOBODY, typed or b"")
    except (VerificationError, InvalidHashError):
        return False
    return matches and stored is not None and typed is not None


def needs_rehash(stored: str) -> bool:
    """Whether ``stored`` was made with other parameters than today's; hash again at the next sign-in."""
    return _HASHER.check_needs_rehash(stored)


def _typed(password: str) -> bytes | None:
    """The same bytes for the same password whichever keyboard composed its accents; None for lone surrogates."""
    try:
        return unicodedata.normalize("NFC", password).encode("utf-8")
    except UnicodeEncodeError:
        return None

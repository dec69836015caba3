"""Encrypted files for the hub's own backups: made for a recovery key or a passphrase, opened with the same.

Comes in: a stream of bytes. Goes out: a stream of bytes, in pieces, whatever its length. The one rule: nothing that
was altered or cut off is ever given out as whole; who reads to the end knows that it was. Format: age v1 (C2SP
age-encryption.org/v1, X25519 and scrypt stanzas), so that ``age -d`` opens such a file where lastgood is not at hand.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
from dataclasses import dataclass, field
from typing import IO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from lastgood.auth import bech32
from lastgood.errors import ConfigError, LastgoodError
from lastgood.secret import Secret

PIECE_BYTES = 64 * 1024
SCRYPT_LOG_N = 17
"""128 MiB and about half a second a try, for us and for whoever guesses."""

_MOST_LOG_N = 20
_TAG_BYTES = 16
_FILE_KEY_BYTES = 16
_VERSION = b"age-encryption.org/v1"
_X25519 = b"age-encryption.org/v1/X25519"
_SCRYPT = b"age-encryption.org/v1/scrypt"
_KEY_PREFIX = "age-secret-key-"
_RECIPIENT_PREFIX = "age"
_LONGEST_LINE = 1024
_MOST_LINES = 100
_NO_NONCE = bytes(12)


class Unopened(LastgoodError):
    """The file does not open with this key, or is not whole."""


@dataclass(frozen=True, slots=True)
class RecoveryKey:
    """A key pair of which only the recipient, who can lock and not open, stays with the hub."""

    secret: Secret = field(repr=False)
    recipient: str


def mint_recovery_key(entropy: bytes | None = None) -> RecoveryKey:
    """A new key; ``entropy`` is 32 bytes."""
    raw = os.urandom(32) if entropy is None else entropy
    return RecoveryKey(Secret(bech32.encode(_KEY_PREFIX, raw).upper()), _recipient_of(raw))


def recipient_of(secret: Secret) -> str:
    """The recipient that belongs to a recovery key as somebody typed it. Raises ConfigError."""
    return _recipient_of(_raw_key(secret))


def check_recipient(text: str) -> str:
    """The recipient as it is kept. Raises ConfigError if it is none."""
    _raw_recipient(text)
    return text.strip()


def _recipient_of(raw: bytes) -> str:
    public = X25519PrivateKey.from_private_bytes(raw).public_key().public_bytes_raw()
    return bech32.encode(_RECIPIENT_PREFIX, public)


def _raw_key(secret: Secret) -> bytes:
    text = "".join(secret.reveal().split())
    try:
        raw = bech32.decode(_KEY_PREFIX, text)
    except ValueError:
        raw = b""
    if len(raw) != 32:
        raise ConfigError(
            "This is not a recovery key: it begins with AGE-SECRET-KEY-1 and holds a checksum that does not fit; "
            "look for a letter that was mistyped."
        )
    return raw


def _raw_recipient(text: str) -> bytes:
    try:
        raw = bech32.decode(_RECIPIENT_PREFIX, text.strip())
    except ValueError:
        raw = b""
    if len(raw) != 32:
        raise ConfigError(f"{text[:80]!r} is no recipient; it begins with age1 and holds a checksum.")
    return raw


# --- locking ------------------------------------------------------------------------------------------------------


class Locking:
    """A binary stream to write to; what is written comes out locked in ``to``. ``close`` makes it whole."""

    def __init__(self, to: IO[bytes], *, recipient: str | None = None, passphrase: Secret | None = None) -> None:
        file_key, nonce = os.urandom(_FILE_KEY_BYTES), os.urandom(16)
        stanza = _for_recipient(recipient, file_key) if recipient else _for_passphrase(passphrase, file_key)
        head = _VERSION + b"\n" + stanza + b"---"
        to.write(head + b" " + _b64(_mac(file_key, head)) + b"\n" + nonce)
        self._to = to
        self._cipher = ChaCha20Poly1305(_derive(file_key, nonce, b"payload"))
        self._held = bytearray()
        self._number = 0

    def write(self, data: bytes) -> int:
        self._held += data
        while len(self._held) > PIECE_BYTES:  # a full last piece is the last one, so one byte more is waited for
            self._put(bytes(self._held[:PIECE_BYTES]), last=False)
            del self._held[:PIECE_BYTES]
        return len(data)

    def close(self) -> None:
        """Write the last piece; without it the file counts as cut off."""
        self._put(bytes(self._held), last=True)
        self._held.clear()

    def _put(self, piece: bytes, *, last: bool) -> None:
        self._to.write(self._cipher.encrypt(_nonce(self._number, last), piece, None))
        self._number += 1


def _for_recipient(recipient: str, file_key: bytes) -> bytes:
    theirs = _raw_recipient(recipient)
    ours = X25519PrivateKey.generate()
    share = ours.public_key().public_bytes_raw()
    shared = ours.exchange(X25519PublicKey.from_public_bytes(theirs))
    wrapped = _wrap(_derive(shared, share + theirs, _X25519), file_key)
    return b"-> X25519 " + _b64(share) + b"\n" + _b64(wrapped) + b"\n"


def _for_passphrase(passphrase: Secret | None, file_key: bytes) -> bytes:
    if passphrase is None or not passphrase:
        raise ConfigError("The passphrase is empty; write one into its file.")
    salt = os.urandom(16)
    wrapped = _wrap(_stretched(passphrase, salt, SCRYPT_LOG_N), file_key)
    return b"-> scrypt " + _b64(salt) + b" %d\n" % SCRYPT_LOG_N + _b64(wrapped) + b"\n"


# --- opening ------------------------------------------------------------------------------------------------------


class Opened:
    """What was locked, as a stream to read from. Raises Unopened for a wrong key and for what is not whole."""

    def __init__(self, locked: IO[bytes], *, key: Secret | None = None, passphrase: Secret | None = None) -> None:
        self._locked = locked
        head, stanzas, mac = _read_head(locked)
        file_key = _file_key(stanzas, key, passphrase)
        if not hmac.compare_digest(_mac(file_key, head), mac):
            raise Unopened("The head of this backup was altered; take another copy of it.")
        nonce = _exactly(locked, 16)
        self._cipher = ChaCha20Poly1305(_derive(file_key, nonce, b"payload"))
        self._number = 0
        self._over = False
        self._clear = b""
        self._next = locked.read(PIECE_BYTES + _TAG_BYTES)

    def read(self, size: int = -1) -> bytes:
        found = bytearray()
        while (size < 0 or len(found) < size) and (self._clear or not self._over):
            if not self._clear:
                self._clear = self._piece()
            taken = self._clear if size < 0 else self._clear[: size - len(found)]
            found += taken
            self._clear = self._clear[len(taken) :]
        return bytes(found)

    def _piece(self) -> bytes:
        piece, self._next = self._next, self._locked.read(PIECE_BYTES + _TAG_BYTES)
        self._over = not self._next
        try:
            clear = self._cipher.decrypt(_nonce(self._number, self._over), piece, None)
        except InvalidTag:
            raise Unopened("This backup was altered or is cut off; take another copy of it.") from None
        self._number += 1
        if not clear and self._number > 1:
            raise Unopened("This backup was altered; take another copy of it.")
        return clear


def is_for_passphrase(stanza: list[bytes]) -> bool:
    return stanza[0] == b"scrypt"


def _read_head(locked: IO[bytes]) -> tuple[bytes, list[tuple[list[bytes], bytes]], bytes]:
    """The head up to its MAC, its stanzas (arguments and body), and the MAC."""
    head = _line(locked)
    if head != _VERSION + b"\n":
        raise Unopened("This is no backup of a hub: it is not an age file of version 1.")
    stanzas: list[tuple[list[bytes], bytes]] = []
    for _ in range(_MOST_LINES):
        line = _line(locked)
        if line.startswith(b"-> "):
            stanzas.append((line[3:-1].split(b" "), b""))
        elif line.startswith(b"--- "):
            return head + b"---", stanzas, _raw(line[4:-1])
        elif stanzas:
            words, body = stanzas[-1]
            stanzas[-1] = words, body + line[:-1]
        head += line
    raise Unopened("The head of this backup is too long; take another copy of it.")


def _file_key(stanzas: list[tuple[list[bytes], bytes]], key: Secret | None, passphrase: Secret | None) -> bytes:
    wants_passphrase = any(is_for_passphrase(words) for words, _ in stanzas)
    if wants_passphrase and passphrase is None:
        raise Unopened("This backup opens with a passphrase, not with a recovery key; give --passphrase-file.")
    if not wants_passphrase and key is None:
        raise Unopened("This backup opens with a recovery key, not with a passphrase; give --recovery-key-file.")
    for words, body in stanzas:
        opener = _kek(words, key, passphrase)
        if opener is None:
            continue
        try:
            return ChaCha20Poly1305(opener).decrypt(_NO_NONCE, _raw(body), None)
        except InvalidTag:
            continue
    if wants_passphrase:
        raise Unopened("This backup does not open with this passphrase; try the one it was made with.")
    raise Unopened(
        "This backup does not open with this recovery key; it was made for another one, perhaps an older kit."
    )


def _kek(words: list[bytes], key: Secret | None, passphrase: Secret | None) -> bytes | None:
    """The key that opens a stanza; None if it is of another kind."""
    if words[0] == b"X25519" and len(words) == 2 and key is not None:
        ours = X25519PrivateKey.from_private_bytes(_raw_key(key))
        share = _raw(words[1])
        if len(share) != 32:
            return None
        try:
            shared = ours.exchange(X25519PublicKey.from_public_bytes(share))
        except ValueError:
            return None
        return _derive(shared, share + ours.public_key().public_bytes_raw(), _X25519)
    if is_for_passphrase(words) and len(words) == 3 and passphrase is not None and words[2].isdigit():
        log_n = int(words[2][:4])
        if not 1 <= log_n <= _MOST_LOG_N:
            raise Unopened(f"This backup asks for more work (2^{log_n}) than any that lastgood makes.")
        return _stretched(passphrase, _raw(words[1]), log_n)
    return None


def _line(locked: IO[bytes]) -> bytes:
    line = locked.readline(_LONGEST_LINE)
    if not line.endswith(b"\n"):
        raise Unopened("This is no backup of a hub, or its head is cut off.")
    return line


def _exactly(locked: IO[bytes], size: int) -> bytes:
    found = locked.read(size)
    if len(found) != size:
        raise Unopened("This backup is cut off; take another copy of it.")
    return found


# --- the parts ----------------------------------------------------------------------------------------------------


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(11, "big") + (b"\x01" if last else b"\x00")


def _wrap(opener: bytes, file_key: bytes) -> bytes:
    return ChaCha20Poly1305(opener).encrypt(_NO_NONCE, file_key, None)


def _stretched(passphrase: Secret, salt: bytes, log_n: int) -> bytes:
    text = passphrase.reveal().encode("utf-8", "surrogatepass")
    return Scrypt(salt=_SCRYPT + salt, length=32, n=1 << log_n, r=8, p=1).derive(text)


def _derive(secret: bytes, salt: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=salt, info=purpose).derive(secret)


def _mac(file_key: bytes, head: bytes) -> bytes:
    return hmac.digest(_derive(file_key, b"", b"header"), head, "sha256")


def _b64(raw: bytes) -> bytes:
    return base64.b64encode(raw).rstrip(b"=")


def _raw(text: bytes) -> bytes:
    """Canonical base64 only, as the format demands: another spelling of the same bytes was altered too."""
    try:
        raw = base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raw = None
    if raw is None or _b64(raw) != text:
        raise Unopened("The head of this backup was altered; take another copy of it.")
    return raw

"""The secret key file: made once, read at each start, never overwritten.

Goes out: 32 bytes from which ``auth.secrets.subkey`` makes every key that is used. The one rule: the file at its
final name is either absent or whole, since losing or replacing it makes stored credentials unreadable.
Format: 32 random bytes in base64 and a line break.
"""

from __future__ import annotations

import base64
import binascii
import os
import stat
from pathlib import Path

from lastgood.config.private import write_once
from lastgood.errors import ConfigError

KEY_BYTES = 32


def load_or_make_key(path: Path, entropy: bytes | None = None) -> bytes:
    """The key in ``path``, made there with mode 0600 if the file is absent; ``entropy`` is 32 bytes.

    Raises ConfigError if the file cannot be read or made, is open to others, or holds no key.
    """
    try:
        if not path.exists():
            key = os.urandom(KEY_BYTES) if entropy is None else entropy
            if len(key) != KEY_BYTES:
                raise ValueError(f"a secret key has {KEY_BYTES} bytes")
            write_once(path, base64.b64encode(key) + b"\n")
        return _read(path)
    except OSError as fault:
        reason = (fault.strerror or type(fault).__name__).lower()
        raise ConfigError(
            f"Cannot use the secret key file {path}: {reason}; check that its folder exists and belongs to the "
            "user that runs lastgood, or set server.secret_key_file."
        ) from None


def load_key(path: Path) -> bytes:
    """The key in ``path``, which must be there. Raises ConfigError."""
    try:
        return _read(path)
    except OSError as fault:
        reason = (fault.strerror or type(fault).__name__).lower()
        raise ConfigError(f"Cannot read the secret key file {path}: {reason}; set server.secret_key_file.") from None


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        # Mounted secrets often belong to root and are readable by the group that the service runs in.
        allowed = 0o700 if status.st_uid == os.geteuid() else 0o740
        if stat.S_IMODE(status.st_mode) & 0o777 & ~allowed:
            raise ConfigError(
                f"The secret key file {path} is open to other users (mode {stat.S_IMODE(status.st_mode):04o}); "
                f"run: chmod 600 {path}"
            )
        text = file.read(4096)
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except binascii.Error:
        key = b""
    if len(key) != KEY_BYTES:
        raise ConfigError(
            f"{path} does not hold a secret key of {KEY_BYTES} bytes in base64; put back the file that this "
            "installation was made with, or, if nothing has been stored yet, delete it and a new one is made."
        )
    return key

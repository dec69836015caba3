"""How a server proves that it is the one meant: by a known authority, by its fingerprint, or not at all.

Comes in: settings. Goes out: a TLS context for ``tools/http.py``, and the certificate that the last handshake
showed. The one rule: the comparison stands within the handshake, so that not one byte of a request goes to anybody
else.
"""

from __future__ import annotations

import hashlib
import re
import ssl
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509

from lastgood.errors import ConfigError

_FINGERPRINT = re.compile(r"[0-9a-f]{64}")


class WrongCertificate(ssl.SSLError):
    """The handshake showed another certificate than the pinned one: its fingerprint."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """``fingerprint`` is SHA-256 of the leaf, as pairs joined by colons; ``expires_at`` None if it cannot be read."""

    fingerprint: str
    expires_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """What is trusted: a fingerprint decides alone, else the authorities of ``ca_file``, else the system's.

    ``verify`` False accepts anybody, if there is neither.
    """

    fingerprint: str | None = None
    ca_file: Path | None = None
    verify: bool = True

    def __post_init__(self) -> None:
        if self.fingerprint is not None:
            object.__setattr__(self, "fingerprint", written(self.fingerprint))

    @property
    def is_verified(self) -> bool:
        return self.verify or self.fingerprint is not None or self.ca_file is not None


class Handshakes:
    """The TLS context of one server; ``shown`` is the certificate of its newest handshake, refused ones too."""

    def __init__(self, trust: Trust) -> None:
        self.trust = trust
        self.shown: Certificate | None = None

    def context(self) -> ssl.SSLContext:
        """Reads files, so it is called off the loop. Raises ConfigError."""
        context = self._authorities()
        handshakes = self

        class Watched(ssl.SSLObject):
            def do_handshake(self) -> None:
                super().do_handshake()
                handshakes._saw(self.getpeercert(binary_form=True))

        context.sslobject_class = Watched
        return context

    def _authorities(self) -> ssl.SSLContext:
        trust = self.trust
        if trust.fingerprint is None and trust.ca_file is not None:
            try:
                context = ssl.create_default_context(cafile=trust.ca_file)
            except (OSError, ssl.SSLError) as error:
                raise ConfigError(
                    f"The certificates of {trust.ca_file} cannot be read ({error}); "
                    "name a PEM file that this user may read."
                ) from error
            # A server's own certificate may stand there: it is no authority, and lacks what strict reading asks for.
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT
            return context
        if trust.fingerprint is None and trust.verify:
            return ssl.create_default_context()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context

    def _saw(self, der: bytes | None) -> None:
        if der is None:
            raise WrongCertificate("of nobody")
        if self.shown is None or self.shown.fingerprint != fingerprint(der):
            self.shown = Certificate(fingerprint(der), _expiry(der))
        if self.trust.fingerprint not in (None, self.shown.fingerprint):
            raise WrongCertificate(self.shown.fingerprint)


def fingerprint(der: bytes) -> str:
    return hashlib.sha256(der).digest().hex(":")


def written(text: str) -> str:
    """A SHA-256 fingerprint as we write it: lower-case pairs joined by colons. Raises ConfigError."""
    bare = text.strip().lower().removeprefix("sha256:").replace(":", "").replace(" ", "")
    if not _FINGERPRINT.fullmatch(bare):
        raise ConfigError(
            f"The fingerprint {text[:100]!r} is not SHA-256: write 32 pairs of hex digits, with colons or without, "
            "as the server's dashboard shows it."
        )
    return bytes.fromhex(bare).hex(":")


def _expiry(der: bytes) -> datetime | None:
    try:
        return x509.load_der_x509_certificate(der).not_valid_after_utc
    except ValueError:
        return None

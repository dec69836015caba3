"""The server's self-signed certificate, as PBS makes its own, and the TLS context that shows it.

Comes from one RSA-4096 key that lies beside this file: everybody knows it, so it proves nothing and starts at once.
The signature is deterministic, hence one serial is one pin; a changed certificate is the next serial.
Outside format: X.509 v3 with SAN 127.0.0.1, ::1, localhost, node name, FQDN; valid for 1000 years.
"""

from __future__ import annotations

import base64
import hashlib
import ssl
import tempfile
import textwrap
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from . import der
from .upid import NODE

FQDN = f"{NODE}.example.lan"
UNIT = "7C1E20D94A8B4F5E9A3D6B0C8F2E1D47"
SUBJECT = f"O = Proxmox Backup Server, OU = {UNIT}, CN = {FQDN}"
NOT_BEFORE = 1740787200
NOT_AFTER = 33276787200
KEY_BITS = 4096

_SHA256_RSA = "1.2.840.113549.1.1.11"
_DIGEST_INFO = bytes.fromhex("3031300d060960864801650304020105000420")
_EXPONENT = 65537


@dataclass(frozen=True)
class Certificate:
    pem: str
    pin: str
    names: tuple[str, ...]
    not_before: int
    not_after: int

    def context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        with tempfile.TemporaryDirectory() as folder:
            chain = Path(folder, "proxy.pem")
            chain.write_text(_key_pem() + self.pem)
            context.load_cert_chain(chain)
        return context


@lru_cache(maxsize=64)
def certificate(serial: int = 1, *, expired: bool = False, wrong_name: bool = False) -> Certificate:
    not_after = NOT_BEFORE + 86400 if expired else NOT_AFTER
    names = ("other.example.lan",) if wrong_name else ("localhost", NODE, FQDN)
    addresses = () if wrong_name else (b"\x7f\x00\x00\x01", bytes(15) + b"\x01")
    algorithm = der.sequence(der.oid(_SHA256_RSA), der.null())
    inner = der.sequence(
        der.tlv(0xA0, der.integer(2)),
        der.integer(serial),
        algorithm,
        _name(),
        der.sequence(_instant(NOT_BEFORE), _instant(not_after)),
        _name(),
        _public_key(),
        der.tlv(0xA3, der.sequence(*_extensions(names, addresses))),
    )
    whole = der.sequence(inner, algorithm, der.bits(_signature(inner)))
    digest = hashlib.sha256(whole).hexdigest()
    pin = ":".join(textwrap.wrap(digest, 2))
    return Certificate(_pem("CERTIFICATE", whole), pin, names, NOT_BEFORE, not_after)


def _extensions(names: tuple[str, ...], addresses: tuple[bytes, ...]) -> list[bytes]:
    san = [der.tlv(0x87, address) for address in addresses] + [der.tlv(0x82, name.encode()) for name in names]
    return [
        der.sequence(der.oid("2.5.29.19"), der.octets(der.sequence())),
        der.sequence(der.oid("2.5.29.37"), der.octets(der.sequence(der.oid("1.3.6.1.5.5.7.3.1")))),
        der.sequence(der.oid("2.5.29.17"), der.octets(der.sequence(*san))),
    ]


def _name() -> bytes:
    parts = (("2.5.4.10", "Proxmox Backup Server"), ("2.5.4.11", UNIT), ("2.5.4.3", FQDN))
    return der.sequence(*(der.one_of_set(der.sequence(der.oid(kind), der.text(value))) for kind, value in parts))


def _instant(epoch: int) -> bytes:
    # Fixed by hand where Python's own arithmetic is fine: the years stay below 9999.
    stamp = datetime.fromtimestamp(epoch, UTC).strftime("%Y%m%d%H%M%SZ")
    return der.utc_time(stamp) if stamp < "2050" else der.generalized_time(stamp)


def _public_key() -> bytes:
    p, q = _primes()
    numbers = der.sequence(der.integer(p * q), der.integer(_EXPONENT))
    return der.sequence(der.sequence(der.oid("1.2.840.113549.1.1.1"), der.null()), der.bits(numbers))


def _signature(message: bytes) -> bytes:
    p, q = _primes()
    size = KEY_BITS // 8
    info = _DIGEST_INFO + hashlib.sha256(message).digest()
    padded = int.from_bytes(b"\x00\x01" + b"\xff" * (size - 3 - len(info)) + b"\x00" + info, "big")
    private = pow(_EXPONENT, -1, (p - 1) * (q - 1))
    # By the Chinese remainder theorem, a quarter of the work of one big power.
    by_p, by_q = pow(padded, private % (p - 1), p), pow(padded, private % (q - 1), q)
    whole = by_q + q * ((by_p - by_q) * pow(q, -1, p) % p)
    return whole.to_bytes(size, "big")


@lru_cache(maxsize=1)
def _primes() -> tuple[int, int]:
    p, q = Path(__file__).with_name("rsa4096.txt").read_text().split("\n\n")[:2]
    return int(p.replace("\n", ""), 16), int(q.replace("\n", ""), 16)


@lru_cache(maxsize=1)
def _key_pem() -> str:
    p, q = _primes()
    private = pow(_EXPONENT, -1, (p - 1) * (q - 1))
    numbers = (0, p * q, _EXPONENT, private, p, q, private % (p - 1), private % (q - 1), pow(q, -1, p))
    return _pem("RSA PRIVATE KEY", der.sequence(*(der.integer(number) for number in numbers)))


def _pem(kind: str, body: bytes) -> str:
    lines = "\n".join(textwrap.wrap(base64.b64encode(body).decode(), 64))
    return f"-----BEGIN {kind}-----\n{lines}\n-----END {kind}-----\n"

"""Just enough DER to write a certificate and a private key down, byte for byte the same at every start."""

from __future__ import annotations


def tlv(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    if len(body) < 0x80:
        return bytes((tag, len(body))) + body
    length = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + body


def sequence(*parts: bytes) -> bytes:
    return tlv(0x30, *parts)


def one_of_set(part: bytes) -> bytes:
    return tlv(0x31, part)


def integer(value: int) -> bytes:
    return tlv(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def bits(body: bytes) -> bytes:
    return tlv(0x03, b"\x00", body)


def octets(body: bytes) -> bytes:
    return tlv(0x04, body)


def null() -> bytes:
    return tlv(0x05)


def text(value: str) -> bytes:
    return tlv(0x0C, value.encode())


def oid(dotted: str) -> bytes:
    first, second, *rest = (int(part) for part in dotted.split("."))
    body = bytes((first * 40 + second,))
    for number in rest:
        septets = [number & 0x7F]
        while number := number >> 7:
            septets.append(0x80 | number & 0x7F)
        body += bytes(reversed(septets))
    return tlv(0x06, body)


def generalized_time(stamp: str) -> bytes:
    """``stamp`` is YYYYMMDDHHMMSSZ; years from 2050 on have no other form."""
    return tlv(0x18, stamp.encode())


def utc_time(stamp: str) -> bytes:
    return tlv(0x17, stamp[2:].encode())

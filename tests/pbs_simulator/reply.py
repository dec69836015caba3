"""An answer on its way out: status, headers, body; lists in pieces, deflated on request.

Takes what an endpoint gave or refused. A long list is never whole in memory unless a fault needs it whole.
Outside format: `{"data": ...}` under a JSON type; deflate is raw before zlib framing came (July 2024), zlib after.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from .call import Listing, Told
from .compact import compact
from .refusal import JSON_TYPE, Refusal
from .versions import Version

PIECE = 64 * 1024

_REASONS = {200: "OK", 301: "Moved Permanently", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden"}
_REASONS |= {404: "Not Found", 405: "Method Not Allowed", 414: "URI Too Long", 500: "Internal Server Error"}
_REASONS |= {502: "Bad Gateway", 503: "Service Unavailable"}


@dataclass
class Reply:
    status: int
    body: bytes = b""
    pieces: Iterable[bytes] | None = None
    content_type: str | None = JSON_TYPE
    groups: int = 0
    snapshots: int = 0
    delay: float = 0.0

    def whole(self) -> bytes:
        """The body at once; afterwards there are no pieces any more."""
        if self.pieces is not None:
            self.body, self.pieces = b"".join(self.pieces), None
        return self.body


def told(given: Any) -> Reply:
    if isinstance(given, Listing):
        return Reply(200, pieces=_pieces(given), groups=given.groups, snapshots=given.snapshots)
    data, more = (given.data, given.more) if isinstance(given, Told) else (given, {})
    return Reply(200, compact({"data": data} | more).encode())


def refused(refusal: Refusal) -> Reply:
    return Reply(refusal.status, refusal.text.encode(), content_type=refusal.content_type, delay=refusal.delay)


def _pieces(listing: Listing) -> Iterator[bytes]:
    parts = ['{"data":[']
    length, first = 0, True
    for row in listing.rows:
        if not first:
            parts.append(",")
        first = False
        parts.append(row)
        length += len(row)
        if length >= PIECE:
            yield "".join(parts).encode()
            parts, length = [], 0
    parts.append("]")
    parts += [f',"{key}":{compact(value)}' for key, value in listing.more.items()]
    yield "".join([*parts, "}"]).encode()


def head(status: int, headers: dict[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Unknown')}", *(f"{k}: {v}" for k, v in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


class Deflater:
    """Compresses pieces as the given version does."""

    def __init__(self, version: Version, level: int = 3) -> None:
        self._stream = zlib.compressobj(level, zlib.DEFLATED, 15 if version.has("zlib-framing") else -15)

    def piece(self, data: bytes) -> bytes:
        return self._stream.compress(data)

    def rest(self) -> bytes:
        return self._stream.flush()


def deflated(version: Version, body: bytes) -> bytes:
    stream = Deflater(version)
    return stream.piece(body) + stream.rest()


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


LAST_CHUNK = b"0\r\n\r\n"

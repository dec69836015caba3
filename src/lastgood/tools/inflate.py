"""Bodies as they travelled, made into what was said: inflated piece by piece, and never beyond a bound.

Comes in: raw bytes of a body. Goes out: pieces of the clear one. The one rule: no more than a piece is inflated at
a time, and the bound is looked at before the next. Outside format: ``deflate`` as zlib (RFC 1950) or raw (RFC
1951).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

from lastgood.errors import BadPayload

PIECE = 256 * 1024


class Inflater:
    """``take`` gets the clear pieces; ``limit`` bounds the bytes before and after inflating. Raises BadPayload."""

    def __init__(self, encoding: str, limit: int, take: Callable[[bytes], object], asked: str) -> None:
        self._left = self._left_raw = self._limit = limit
        self._take = take
        self._asked = asked
        self._deflated = encoding.strip().lower() == "deflate"
        self._begun = b""
        self._stream: zlib._Decompress | None = None
        if not self._deflated and encoding.strip().lower() not in ("", "identity"):
            raise BadPayload(
                f"{asked} was answered in the encoding {encoding[:40]!r}, which nobody asked for.", cause="encoding"
            )

    def feed(self, raw: bytes) -> None:
        self._left_raw -= len(raw)
        if self._left_raw < 0:
            raise self._too_large()
        if not self._deflated:
            self._told(raw)
            return
        if self._stream is None:
            raw = self._begun = self._begun + raw
            if len(raw) < 2:
                return
            self._stream = zlib.decompressobj(zlib.MAX_WBITS if _has_zlib_header(raw) else -zlib.MAX_WBITS)
        try:
            while raw:
                self._told(self._stream.decompress(raw, PIECE))
                raw = self._stream.unconsumed_tail
        except zlib.error as error:
            raise BadPayload(
                f"{self._asked} was answered with what cannot be inflated ({error}).", cause="bad_payload"
            ) from error

    def end(self) -> None:
        """All was fed. Raises BadPayload if the deflated stream has no end."""
        if self._stream is not None:
            self._told(self._stream.flush())
        if self._deflated and (self._stream is None or not self._stream.eof):
            raise BadPayload(
                f"{self._asked} was answered in part only: what was deflated has no end.", cause="cut_off"
            )

    def _told(self, piece: bytes) -> None:
        self._left -= len(piece)
        if self._left < 0:
            raise self._too_large()
        if piece:
            self._take(piece)

    def _too_large(self) -> BadPayload:
        return BadPayload(
            f"{self._asked} was answered with more than {self._limit:,} bytes, which is more than we take.",
            retry=False,
            cause="too_large",
        )


def _has_zlib_header(raw: bytes) -> bool:
    # No raw stream begins so: its first block would be a stored one with bits that are always 0.
    return raw[0] & 0x0F == 8 and (raw[0] << 8 | raw[1]) % 31 == 0

"""A body in pieces to one gzip member, by the fastest library at hand.

Takes chunks as the writer makes them, so the clear text is never held whole. The one rule: one member only; wget and
httpx silently stop after the first. Format: RFC 1952, level 1, without a time so that equal bodies stay equal.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from importlib.util import find_spec
from typing import Any

LEVEL = 1
_GZIP_WINDOW = 31
"""A window of 32 KiB and the gzip wrapper around it."""


def _fastest() -> Any:
    """isal where its wheel exists, else the standard library; both have the same interface."""
    if find_spec("isal") is None:
        return zlib
    from isal import isal_zlib

    return isal_zlib


_LIBRARY = _fastest()


def gzip_body(chunks: Iterable[bytes], library: Any = _LIBRARY) -> bytes:
    """The chunks as one gzip member."""
    deflater = library.compressobj(LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
    pieces = [deflater.compress(chunk) for chunk in chunks]
    pieces.append(deflater.flush())
    return b"".join(pieces)

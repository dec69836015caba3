"""One gzip member, whichever library makes it."""

from __future__ import annotations

import gzip
import subprocess
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from lastgood.web.compress import gzip_body

CHUNKS = [b"", b"a" * 100_000, b"b", bytes(range(256)) * 1000]


def fast() -> Any:
    return pytest.importorskip("isal.isal_zlib", reason="no wheel of isal for this platform")


@pytest.mark.parametrize("library", [fast, lambda: zlib], ids=["isal", "zlib"])
@pytest.mark.parametrize("chunks", [CHUNKS, []], ids=["pieces", "nothing"])
def test_a_body_in_pieces_becomes_one_member_that_others_read(
    library: Callable[[], Any], chunks: list[bytes]
) -> None:
    body = gzip_body(iter(chunks), library())
    inflater = zlib.decompressobj(31)
    assert inflater.decompress(body) == b"".join(chunks)
    assert inflater.eof
    assert inflater.unused_data == b""
    assert subprocess.run(["gzip", "-dc"], input=body, capture_output=True, check=True).stdout == b"".join(chunks)


def test_equal_bodies_are_equal_bytes() -> None:
    assert gzip_body(CHUNKS) == gzip_body(CHUNKS)
    assert gzip.decompress(gzip_body(CHUNKS)) == b"".join(CHUNKS)

"""Pieces become one gzip member that others read, whichever library makes them."""

from __future__ import annotations

import gzip
import subprocess
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lastgood.metrics.pack import LARGE, LIBRARY, Body, Packer, combine

TEXTS = [b"", b"a" * 100_000, b"b", bytes(range(256)) * 1000, b""]


def fast() -> Any:
    return pytest.importorskip("isal.isal_zlib", reason="no wheel of isal for this platform")


each_library = pytest.mark.parametrize("library", [fast, lambda: zlib], ids=["isal", "zlib"])


def sent(body: Body) -> bytes:
    return b"".join(body.buffers)


@each_library
@pytest.mark.parametrize("texts", [TEXTS, []], ids=["pieces", "nothing"])
def test_pieces_become_one_member_that_others_read(library: Callable[[], Any], texts: list[bytes]) -> None:
    packer = Packer(library())
    body = packer.member([packer.piece(text) for text in texts])
    inflater = zlib.decompressobj(31)
    assert inflater.decompress(sent(body)) == b"".join(texts)
    assert (inflater.eof, inflater.unused_data) == (True, b"")
    assert subprocess.run(["gzip", "-dc"], input=sent(body), capture_output=True, check=True).stdout == b"".join(
        texts
    )
    assert (body.size, body.clear_size) == (len(sent(body)), len(b"".join(texts)))
    assert b"".join(packer.clear(body)) == b"".join(texts)


@each_library
@given(texts=st.lists(st.binary(max_size=300), max_size=8), changes=st.data())
def test_a_segment_joined_again_is_that_joined_from_nothing(
    library: Callable[[], Any], texts: list[bytes], changes: st.DataObject
) -> None:
    packer = Packer(library())
    before = [packer.piece(text) for text in texts]
    joined = packer.join(before)
    draw, after = changes.draw, list(before)
    for at in range(len(after)):
        if draw(st.booleans()):
            size = draw(st.sampled_from([len(texts[at]), len(texts[at]), 7]))
            after[at] = packer.piece(draw(st.binary(min_size=size, max_size=size)))
    again = packer.rejoin(after, before, joined)
    assert again == packer.join(after)
    assert gzip.decompress(sent(packer.member([again, again]))) == 2 * b"".join(
        zlib.decompress(piece.packed + b"\x03\x00", -15) for piece in after
    )


@given(one=st.binary(max_size=2000), other=st.binary(max_size=2000))
def test_our_own_way_to_combine_checksums_agrees_with_a_pass_over_the_text(one: bytes, other: bytes) -> None:
    assert combine(zlib.crc32(one), zlib.crc32(other), len(other)) == zlib.crc32(one + other)


def test_a_large_segment_is_sent_as_it_is_and_small_ones_share_a_buffer() -> None:
    packer = Packer(zlib)
    large = packer.piece(b"".join(str(n * n).encode() for n in range(150_000)))
    assert len(large.packed) > LARGE
    small = packer.piece(b"small\n")
    body = packer.member([small, small, large, small])
    assert [buffer is large.packed for buffer in body.buffers] == [False, True, False]


def test_the_library_in_use_has_a_name_and_a_version() -> None:
    assert LIBRARY.split(" ")[0] in ("isal", "zlib")
    assert LIBRARY.split(" ")[1][0].isdigit()

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

from lastgood.metrics.pack import LARGE, LIBRARY, Body, Packer, Strung, combine

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


TEXT = st.binary(max_size=300)
EDITS = st.lists(
    st.one_of(
        st.tuples(st.just("insert"), st.integers(0, 9), TEXT),
        st.tuples(st.just("replace"), st.integers(0, 9), TEXT),
        st.tuples(st.just("swap"), st.integers(0, 9), st.just(b"")),  # by a text of the same length
        st.tuples(st.just("remove"), st.integers(0, 9), st.just(b"")),
        st.tuples(st.just("join"), st.just(0), st.just(b"")),
    ),
    max_size=20,
)


@each_library
@given(edits=EDITS)
def test_strung_pieces_are_joined_as_from_nothing_whatever_was_replaced(
    library: Callable[[], Any], edits: list[tuple[str, int, bytes]]
) -> None:
    packer = Packer(library())
    strung, texts = Strung(packer), list[bytes]()
    for edit, where, text in [*edits, ("join", 0, b"")]:
        at = where % (len(texts) + 1) if edit == "insert" else where % max(len(texts), 1)
        if edit == "insert":
            strung.insert(at)
            strung.replace(at, packer.piece(text))
            texts.insert(at, text)
        elif edit == "join":
            joined = strung.joined()
            assert strung.joined() is joined
            assert (joined.crc, joined.size) == (zlib.crc32(b"".join(texts)), len(b"".join(texts)))
            assert gzip.decompress(sent(packer.member([joined, joined]))) == 2 * b"".join(texts)
        elif texts and edit == "remove":
            strung.remove(at)
            del texts[at]
        elif texts:
            texts[at] = text if edit == "replace" else bytes(reversed(texts[at]))
            strung.replace(at, packer.piece(texts[at]))
        assert len(strung) == len(texts)


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

"""Bodies are inflated in pieces, in both framings, and never beyond their bound."""

from __future__ import annotations

import random
import zlib

import pytest

from lastgood.errors import BadPayload
from lastgood.tools.inflate import PIECE, Inflater

TEXT = b"".join(b"snapshot %d of many, " % number for number in range(50_000))


def deflated(data: bytes, *, raw: bool) -> bytes:
    stream = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS if raw else zlib.MAX_WBITS)
    return stream.compress(data) + stream.flush()


def inflated(packed: bytes, step: int, *, encoding: str = "deflate", limit: int = 1 << 30) -> list[bytes]:
    pieces: list[bytes] = []
    inflater = Inflater(encoding, limit, pieces.append, "pbs-a: list")
    for start in range(0, len(packed), step):
        inflater.feed(packed[start : start + step])
    inflater.end()
    return pieces


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("step", [1, 2, 1000, 1 << 20])
def test_both_framings_are_inflated_however_they_are_cut(raw: bool, step: int) -> None:
    assert b"".join(inflated(deflated(TEXT[:100_000], raw=raw), step)) == TEXT[:100_000]


@pytest.mark.parametrize("level", range(10))
@pytest.mark.parametrize("size", [0, 1, 2, 70_000])
def test_neither_framing_is_ever_taken_for_the_other(level: int, size: int) -> None:
    noise = random.Random(size).randbytes(size)
    for bits in (zlib.MAX_WBITS, -zlib.MAX_WBITS, 9, -9):
        stream = zlib.compressobj(level, zlib.DEFLATED, bits)
        packed = stream.compress(noise) + stream.flush()
        assert b"".join(inflated(packed, 1000)) == noise


def test_no_piece_is_larger_than_it_may_be() -> None:
    pieces = inflated(deflated(bytes(10_000_000), raw=False), 1 << 20)
    assert max(map(len, pieces)) <= PIECE
    assert sum(map(len, pieces)) == 10_000_000


def test_a_bomb_is_left_at_its_bound() -> None:
    taken = 0

    def take(piece: bytes) -> None:
        nonlocal taken
        taken += len(piece)

    inflater = Inflater("deflate", 1_000_000, take, "pbs-a: list")
    with pytest.raises(BadPayload, match="more than 1,000,000 bytes") as error:
        inflater.feed(deflated(bytes(40_000_000), raw=False))
    assert (error.value.cause, error.value.retry) == ("too_large", False)
    assert taken <= 1_000_000


def test_what_inflates_to_nothing_for_ever_is_bounded_too() -> None:
    stream = zlib.compressobj()
    inflater = Inflater("deflate", 10_000, lambda piece: None, "pbs-a: list")
    inflater.feed(stream.compress(b"") + stream.flush(zlib.Z_SYNC_FLUSH))
    empty = b"\x00\x00\x00\xff\xff"
    with pytest.raises(BadPayload, match="more than"):
        for _ in range(10_000):
            inflater.feed(empty)


def test_a_body_that_is_not_deflated_is_handed_on_and_bounded() -> None:
    assert b"".join(inflated(TEXT, 1000, encoding="")) == TEXT
    assert b"".join(inflated(b"", 1000, encoding="identity")) == b""
    with pytest.raises(BadPayload, match="more than"):
        inflated(TEXT, 1000, encoding="", limit=10_000)


@pytest.mark.parametrize("raw", [False, True])
def test_a_deflated_body_without_its_end_is_cut_off(raw: bool) -> None:
    packed = deflated(TEXT, raw=raw)
    for kept in (0, 1, len(packed) // 2, len(packed) - 8):
        with pytest.raises(BadPayload) as error:
            inflated(packed[:kept], 1000)
        assert error.value.cause == "cut_off"


@pytest.mark.parametrize("noise", [b"\x78\x9c" + b"\xff" * 100, b"\xff" * 100, b"<html>" * 20])
def test_noise_is_a_bad_payload(noise: bytes) -> None:
    with pytest.raises(BadPayload) as error:
        inflated(noise, 1000)
    assert error.value.cause in ("bad_payload", "cut_off")


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate, gzip", "x" * 500])
def test_an_encoding_nobody_asked_for_is_refused(encoding: str) -> None:
    with pytest.raises(BadPayload, match="which nobody asked for") as error:
        Inflater(encoding, 1000, lambda piece: None, "pbs-a: list")
    assert error.value.cause == "encoding"
    assert len(str(error.value)) < 200

"""Text in pieces to one gzip member: each piece deflated alone, kept, and used again in any body that holds it.

Takes the text of a part of a page, gives its deflated bytes with CRC and length; pieces strung together are a member
without any pass over clear text. The one rule: one member only; wget and httpx silently stop after the first.
Formats: RFC 1951 and 1952, level 1, every piece ended by a sync flush, no time, so that equal bodies stay equal.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from itertools import accumulate
from typing import Any, NamedTuple

LEVEL = 1
HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\xff"
"""Fastest level, no time, no name, unknown system."""

_LAST_BLOCK = b"\x03\x00"
_RAW = -15
"""A window of 32 KiB and no wrapper."""
_GZIP = 31

LARGE = 256 * 1024
"""Bytes from which on a segment is handed to the socket by itself instead of being copied into one buffer."""

_SLICE = 64 * 1024

_BLOCK = 8
"""Of so many pieces CRC and length are kept together."""

_POLYNOMIAL = 0xEDB88320
"""That of CRC-32, lowest power first as all of gzip has it."""


class Piece(NamedTuple):
    """Deflated text on a byte border, with the CRC and the length of the text."""

    packed: bytes
    crc: int
    size: int


NOTHING = Piece(b"", 0, 0)


class Packer:
    """Makes pieces and members by one library; both give bodies that every client reads."""

    def __init__(self, library: Any) -> None:
        self._library = library
        self.combine: Callable[[int, int, int], int] = getattr(library, "crc32_combine", combine)

    def piece(self, text: bytes) -> Piece:
        if not text:
            return NOTHING
        library = self._library
        deflater = library.compressobj(LEVEL, zlib.DEFLATED, _RAW)
        packed = deflater.compress(text) + deflater.flush(zlib.Z_SYNC_FLUSH)
        return Piece(packed, library.crc32(text), len(text))

    def join(self, pieces: Iterable[Piece]) -> Piece:
        """One piece that stands for all of them, in their order."""
        held = [piece for piece in pieces if piece.size]
        if len(held) == 1:
            return held[0]
        crc, size = self.total([piece.crc for piece in held], [piece.size for piece in held])
        return Piece(b"".join([piece.packed for piece in held]), crc, size)

    def total(self, crcs: Sequence[int], sizes: Sequence[int]) -> tuple[int, int]:
        """CRC and length of texts one after the other."""
        both, crc = self.combine, 0
        for other, size in zip(crcs, sizes, strict=True):
            crc = both(crc, other, size)
        return crc, sum(sizes)

    def member(self, pieces: Sequence[Piece]) -> Body:
        """The pieces as one gzip member; large ones are not copied."""
        crc, size = self.total([piece.crc for piece in pieces], [piece.size for piece in pieces])
        tail = _LAST_BLOCK + crc.to_bytes(4, "little") + (size & 0xFFFFFFFF).to_bytes(4, "little")
        return Body(tuple(_buffers([HEADER, *(piece.packed for piece in pieces), tail])), size)

    def clear(self, body: Body) -> Iterator[bytes]:
        """The text of a body, some hundred kilobytes at a time, so that it is never held whole."""
        inflater = self._library.decompressobj(_GZIP)
        for buffer in body.buffers:
            whole = memoryview(buffer)
            for start in range(0, len(whole), _SLICE):
                if text := inflater.decompress(whole[start : start + _SLICE]):
                    yield text


class Strung:
    """Pieces strung together, of which some are replaced now and then; columns of plain values, for speed."""

    __slots__ = ("_blocks", "_crcs", "_joined", "_moved", "_packed", "_packer", "_sizes", "_uneven")

    def __init__(self, packer: Packer) -> None:
        self._packer = packer
        self._packed: list[bytes] = []
        self._crcs: list[int] = []
        self._sizes: list[int] = []
        self._joined = NOTHING
        self._moved: list[tuple[int, int]] = []
        """Where pieces were replaced by others of the same length, and by how much their CRCs differ."""
        self._uneven = False
        """Whether more than that happened since they were joined."""
        self._blocks: list[tuple[int, int] | None] = []
        """CRC and length of every ``_BLOCK`` pieces, None where they are to be worked out; not used while even."""

    def __len__(self) -> int:
        return len(self._packed)

    def insert(self, at: int) -> None:
        """Room for one more."""
        self._packed.insert(at, b"")
        self._crcs.insert(at, 0)
        self._sizes.insert(at, 0)
        self._come_apart(at)

    def remove(self, at: int) -> None:
        del self._packed[at], self._crcs[at], self._sizes[at]
        self._come_apart(at)

    def _come_apart(self, at: int) -> None:
        """From here on pieces stand in other blocks."""
        del self._blocks[at // _BLOCK :]
        self._uneven = True

    def replace(self, at: int, piece: Piece) -> None:
        if piece.size == self._sizes[at]:
            self._moved.append((at, piece.crc ^ self._crcs[at]))
        else:
            self._uneven = True
        if at // _BLOCK < len(self._blocks):
            self._blocks[at // _BLOCK] = None
        self._packed[at], self._crcs[at], self._sizes[at] = piece

    def joined(self) -> Piece:
        """All of them in one; the same object while nothing was replaced."""
        if not self._uneven and not self._moved:
            return self._joined
        if self._uneven:
            crc, size = self._total()
        else:
            # A CRC is linear: a change in the middle changes the whole by the same, moved over all that comes after.
            crc, size, ends = self._joined.crc, self._joined.size, list(accumulate(self._sizes))
            for at, change in self._moved:
                crc ^= self._packer.combine(change, 0, size - ends[at])
        self._joined, self._uneven = Piece(b"".join(self._packed), crc, size), False
        self._moved.clear()
        return self._joined

    def _total(self) -> tuple[int, int]:
        """CRC and length of all, by blocks: a part that grew by a digit costs its neighbours and not the page."""
        packer, blocks = self._packer, self._blocks
        blocks.extend([None] * (-(-len(self._sizes) // _BLOCK) - len(blocks)))
        for number, block in enumerate(blocks):
            if block is None:
                some = slice(number * _BLOCK, (number + 1) * _BLOCK)
                blocks[number] = packer.total(self._crcs[some], self._sizes[some])
        known = [block for block in blocks if block is not None]
        return packer.total([crc for crc, _ in known], [size for _, size in known])


@dataclass(frozen=True, slots=True)
class Body:
    """A finished gzip member that nobody changes any more, in buffers; ``clear_size`` is the length of its text."""

    buffers: tuple[bytes, ...]
    clear_size: int

    @property
    def size(self) -> int:
        return sum(map(len, self.buffers))


def _buffers(packed: Iterable[bytes]) -> Iterator[bytes]:
    small: list[bytes] = []
    for one in packed:
        if len(one) < LARGE:
            small.append(one)
            continue
        yield b"".join(small)
        small.clear()
        yield one
    if small:
        yield b"".join(small)


def combine(crc: int, other: int, size: int) -> int:
    """The CRC of two texts one after the other; ``size`` is the length of the second. For libraries without it."""
    return _multiplied(_shift(size), crc) ^ other


@lru_cache(maxsize=65536)  # parts of a page have few different lengths
def _shift(size: int) -> int:
    """x to the power of the bits in ``size`` bytes, modulo the polynomial."""
    product, power = 1 << 31, 1 << 23  # 1 and x**8
    while size:
        if size & 1:
            product = _multiplied(power, product)
        power = _multiplied(power, power)
        size >>= 1
    return product


def _multiplied(one: int, other: int) -> int:
    """The product of two polynomials over GF(2), modulo that of the CRC."""
    product, bit = 0, 1 << 31
    while bit:
        if one & bit:
            product ^= other
        other = other >> 1 ^ _POLYNOMIAL if other & 1 else other >> 1
        bit >>= 1
    return product


def fastest() -> tuple[Packer, str]:
    """isal where its wheel exists, else the standard library; with the words for ``lastgood_build_info``."""
    if find_spec("isal") is None:
        return Packer(zlib), f"zlib {zlib.ZLIB_RUNTIME_VERSION}"
    from isal import isal_zlib

    return Packer(isal_zlib), f"isal {version('isal')}"


PACKER, LIBRARY = fastest()
"""Chosen once, at start."""

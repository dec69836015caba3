"""Keys as text that people copy and type: Bech32 with its checksum (BIP 173, without its limit of 90 characters).

Comes in: a prefix and bytes. Goes out: text, and back. The one rule: a text with a wrong letter is refused here, so
that nobody hunts for a broken file when a key was mistyped.
"""

from __future__ import annotations

_LETTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_VALUES = {letter: value for value, letter in enumerate(_LETTERS)}
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_CHECKSUM = 6


def encode(prefix: str, raw: bytes) -> str:
    """``prefix1...``, all lower case."""
    values = _regroup(raw, 8, 5, pad=True)
    check = _polymod([*_spread(prefix), *values, *([0] * _CHECKSUM)]) ^ 1
    values += [(check >> 5 * (_CHECKSUM - 1 - place)) & 31 for place in range(_CHECKSUM)]
    return prefix + "1" + "".join(_LETTERS[value] for value in values)


def decode(prefix: str, text: str) -> bytes:
    """The bytes behind the prefix; raises ValueError for anything that ``encode`` did not make of this prefix."""
    if text != text.lower() and text != text.upper():
        raise ValueError("mixed case")
    found, _, rest = text.lower().rpartition("1")
    if found != prefix or len(rest) < _CHECKSUM or any(letter not in _VALUES for letter in rest):
        raise ValueError("not a key of this kind")
    values = [_VALUES[letter] for letter in rest]
    if _polymod([*_spread(prefix), *values]) != 1:
        raise ValueError("wrong checksum")
    return bytes(_regroup(values[:-_CHECKSUM], 5, 8, pad=False))


def _spread(prefix: str) -> list[int]:
    return [*(ord(letter) >> 5 for letter in prefix), 0, *(ord(letter) & 31 for letter in prefix)]


def _polymod(values: list[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for place, generator in enumerate(_GENERATOR):
            if top >> place & 1:
                check ^= generator
    return check


def _regroup(values: bytes | list[int], width: int, wanted: int, *, pad: bool) -> list[int]:
    held = bits = 0
    found = []
    for value in values:
        held, bits = held << width | value, bits + width
        while bits >= wanted:
            bits -= wanted
            found.append(held >> bits & (1 << wanted) - 1)
    left = held << wanted - bits & (1 << wanted) - 1
    if pad and bits:
        found.append(left)
    elif not pad and (bits >= width or left):
        raise ValueError("odd length")
    return found

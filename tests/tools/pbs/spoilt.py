"""Answers of a server, spoilt in every way; and what an honest reader may still take from them.

``Spoiler`` changes a body as JSON (types, nulls, missing keys, huge numbers, doubled and nested rows, values that
change places) or as bytes. ``claims`` is the oracle: it reads with nothing but ``json``, and shares no code with what
it is to judge.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

HUGE = (
    "1e30",
    "1e999",
    "-1",
    "-1e30",
    str(2**62),
    str(2**63),
    str(2**64),
    "9" * 400,
    "1.5",
    "1e3",
    "0",
    "253402300800",
)
WORDS = (
    "",
    "null",
    "ok",
    "failed",
    "OK",
    "WARNINGS: 1",
    "vm",
    "ct",
    "x" * 3000,
    "\u202e\x00\ud800",
    'a"b\\',
    "é" * 60,
)
BYTES = (b"", b'"', b"}", b"{", b"[", b"]", b",", b":", b"null", b"1e999", b"-1", b"\xff", b"\x00", b"9" * 30, b"\\u")
_RAW = "\x01raw\x01"


class Spoiler:
    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self._ways: tuple[Callable[[list[Any], Any], None], ...] = (
            self._other_type,
            self._nothing,
            self._absent,
            self._huge,
            self._word,
            self._doubled,
            self._nested,
            self._swapped,
            self._moved,
        )

    def body(self, told: dict[str, Any]) -> bytes:
        """The answer, one to four times spoilt; about one in ten is well."""
        if self.rng.random() < 0.1:
            return _written(told)
        if self.rng.random() < 0.35:
            return self.bytes(_written(told))
        told = copy.deepcopy(told)
        for _ in range(self.rng.randint(1, 4)):
            if not isinstance(told.get("data"), list) or not told["data"]:
                break
            self.rng.choice(self._ways)(told["data"], self.rng.choice(told["data"]))
        body = _written(told)
        return self.bytes(body) if self.rng.random() < 0.1 else body

    def bytes(self, body: bytes) -> bytes:
        spoilt = bytearray(body)
        for _ in range(self.rng.randint(1, 4)):
            at = self.rng.randrange(len(spoilt) + 1)
            if self.rng.random() < 0.4 and at < len(spoilt):
                spoilt[at] ^= 1 << self.rng.randrange(8)
            else:
                spoilt[at : at + self.rng.randint(0, 12)] = self.rng.choice(BYTES)
        return bytes(spoilt[: self.rng.randint(0, len(spoilt))] if self.rng.random() < 0.1 else spoilt)

    def _place(self, row: Any) -> tuple[Any, Any]:
        """A container within the row, and a key of it."""
        places = list(_places(row))
        return self.rng.choice(places) if places else ({}, "")

    def _other_type(self, _: list[Any], row: Any) -> None:
        holder, key = self._place(row)
        value = holder[key] if holder else None
        others = [str(value), [value], {"a": value}, True, 7, None, 1.5, [], {}]
        if isinstance(value, str) and value.isdigit():
            others.append(int(value))
        _put(holder, key, self.rng.choice(others))

    def _nothing(self, _: list[Any], row: Any) -> None:
        _put(*self._place(row), None)

    def _absent(self, _: list[Any], row: Any) -> None:
        holder, key = self._place(row)
        if holder:
            del holder[key]

    def _huge(self, _: list[Any], row: Any) -> None:
        _put(*self._place(row), _RAW + self.rng.choice(HUGE) + _RAW)

    def _word(self, _: list[Any], row: Any) -> None:
        _put(*self._place(row), self.rng.choice(WORDS))

    def _doubled(self, rows: list[Any], row: Any) -> None:
        rows.insert(self.rng.randint(0, len(rows)), copy.deepcopy(row))

    def _nested(self, rows: list[Any], row: Any) -> None:
        deep: Any = row
        for _ in range(self.rng.choice((1, 2, 150))):
            deep = [deep] if self.rng.random() < 0.5 else {"data": deep}
        rows[self.rng.randrange(len(rows))] = deep

    def _swapped(self, rows: list[Any], row: Any) -> None:
        """Two rows exchange a value."""
        other = self.rng.choice(rows)
        if isinstance(row, dict) and isinstance(other, dict) and (shared := sorted(row.keys() & other.keys())):
            key = self.rng.choice(shared)
            row[key], other[key] = other[key], row[key]

    def _moved(self, rows: list[Any], _: Any) -> None:
        self.rng.shuffle(rows)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield value, key
        yield from _places(inner)


def _put(holder: Any, key: Any, value: Any) -> None:
    if holder:
        holder[key] = value


def _written(told: dict[str, Any]) -> bytes:
    text = json.dumps(told, separators=(",", ":"))
    raw = json.dumps(_RAW)[1:-1]
    return text.replace(f'"{raw}', "").replace(f'{raw}"', "").encode()


@dataclass(frozen=True)
class Claims:
    """What rows say of snapshots, by (type, id, time): the first of each that says it well. ``is_clear``: nothing in
    the list is doubtful, so that exactly this is to be derived from it."""

    finished: dict[tuple[str, str, int], str]
    """With what the verification says."""
    is_clear: bool

    def good(self, kind: str, name: str, until: int) -> int | None:
        """When the last good backup of a group was made."""
        return max(
            (
                at
                for (its_kind, its_name, at), state in self.finished.items()
                if (its_kind, its_name) == (kind, name) and state != "failed" and at <= until
            ),
            default=None,
        )


def claims(body: bytes) -> Claims | None:
    """None if it is no list at all."""
    try:
        told = json.loads(body.decode("utf-8", "surrogateescape"), strict=False)
    except (ValueError, RecursionError):
        return None
    rows = told.get("data") if isinstance(told, dict) else None
    if not isinstance(rows, list):
        return None
    finished: dict[tuple[str, str, int], str] = {}
    seen: set[tuple[str, str, int]] = set()
    is_clear = True
    for row in rows:
        kind, name, at = (
            row.get(f"backup-{part}") if isinstance(row, dict) else None for part in ("type", "id", "time")
        )
        time = whole(at)
        if not isinstance(kind, str) or not isinstance(name, str) or time is None:
            is_clear = False
            continue
        key = (kind, name, time)
        is_clear &= key not in seen and _is_plain(row)
        seen.add(key)
        state = _state(row.get("verification"))
        if whole(row.get("size")) is not None and state is not None and finished.get(key, "failed") == "failed":
            finished[key] = state
    return Claims(finished, is_clear)


def _state(verification: Any) -> str | None:
    """What a verification found; None if it cannot be said."""
    if verification is None:
        return "none"
    state = verification.get("state") if isinstance(verification, dict) else None
    return state if isinstance(state, str) else None


def whole(value: Any) -> int | None:
    """As a number that counts something."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**63 or value % 1:
        return None
    return int(value)


_TYPES: dict[str, type | tuple[type, ...]] = {
    "owner": str,
    "comment": str,
    "protected": bool,
    "files": list,
    "verification": dict,
}


def _is_plain(row: dict[str, Any]) -> bool:
    """Whether each value of the row is of the type that a server gives it."""
    size, verification = row.get("size"), row.get("verification", {"upid": "", "state": ""})
    return (
        all(key not in row or isinstance(row[key], kind) for key, kind in _TYPES.items())
        and ("size" not in row or (type(size) is int and 0 <= size <= 2**62))
        and isinstance(verification, dict)
        and isinstance(verification.get("upid"), str)
        and isinstance(verification.get("state"), str)
        and type(row["backup-time"]) is int
        and row["backup-time"] < 253402300800
        and all(
            isinstance(file, dict)
            and isinstance(file.get("filename"), str)
            and isinstance(file.get("crypt-mode", ""), str)
            for file in row.get("files", [])
        )
    )

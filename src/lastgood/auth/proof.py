"""Whether an audit log is whole: walks the chain of ``auth/chain.py`` and says what does not fit. Pure.

Comes in: rows in the order of their numbers, the keys that are known, signed heads. Goes out: findings, each a
sentence that names its row, and what could not be proved. The one rule: what was not looked at is said to be
unproved, never passed over.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from lastgood.auth.chain import (
    ACTION,
    AT,
    BEGUN,
    DETAILS,
    FORMAT,
    HASH,
    HASHED,
    OUTCOME,
    PREVIOUS,
    SEAL,
    SEQ,
    ChainKeys,
    Checkpoint,
    Head,
    checkpoint_is_signed,
    head_is_signed,
)
from lastgood.model.audit import SET_BACK, TRIM, Ending

_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TypeError)
MOST_FINDINGS = 50
"""So many are told one by one; one change in the middle may cause many."""


@dataclass(slots=True)
class Proof:
    """What was found. ``findings`` is empty if nothing was changed, as far as ``unproved`` allows."""

    rows: int = 0
    first: int | None = None
    last: int | None = None
    last_at: datetime | None = None
    last_hash: bytes = b""
    findings: list[str] = field(default_factory=list)
    faults: int = 0
    notes: list[str] = field(default_factory=list)
    unproved: list[str] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        return self.faults == 0

    def fault(self, sentence: str) -> None:
        self.faults += 1
        if len(self.findings) < MOST_FINDINGS:
            self.findings.append(sentence)


def prove(
    rows: Iterable[tuple[Any, ...]],
    *,
    keys: ChainKeys | None = None,
    hub_key: bytes | None = None,
    heads: Sequence[Head] = (),
) -> Proof:
    """Walk the rows, which come ordered by number. Without ``keys`` seals and the beginning are not proved."""
    walk = _Walk(keys, hub_key, heads)
    walk.rows(rows)
    walk.beginning()
    walk.signed_heads()
    walk.say_unproved()
    return walk.proof


class _Walk:
    """One pass over a chain."""

    def __init__(self, keys: ChainKeys | None, hub_key: bytes | None, heads: Sequence[Head]) -> None:
        self.proof = Proof()
        self._keys = keys
        self._hub_key = hub_key
        self._heads = heads
        self._first: tuple[Any, ...] | None = None
        self._wanted = {head.seq for head in heads}
        self._hashes: dict[int, Any] = {}
        self._checkpoints: list[tuple[int, Checkpoint]] = []
        self._open: set[int] = set()
        self._has_table_fault = False

    def rows(self, rows: Iterable[tuple[Any, ...]]) -> None:
        encode, sha256, mac = msgspec.msgpack.Encoder().encode, hashlib.sha256, hmac.digest
        key = None if self._keys is None else self._keys.seal
        wanted, begun, count, row = self._wanted, str(Ending.BEGUN), 0, None
        before_seq: Any = None
        before_hash: Any = None
        expected: int | None = None
        for row in rows:
            count += 1
            seq, hash_ = row[SEQ], row[HASH]
            if expected is None:
                self._first = row
            elif seq != expected or row[PREVIOUS] != before_hash:
                self._misfit(row, before_seq)
            if sha256(encode((FORMAT, *row[:HASHED]))).digest() != hash_:
                self.proof.fault(f"Row {seq} was changed: its hash does not fit its content.")
            elif key is not None and mac(key, hash_, "sha256") != row[SEAL]:
                self.proof.fault(f"Row {seq} was not written by this hub: its seal does not fit.")
            if row[OUTCOME] == begun:
                self._open.add(seq)
            elif row[BEGUN] is not None:
                self._open.discard(row[BEGUN])
            if seq in wanted:
                self._hashes[seq] = hash_
            if row[ACTION] in (TRIM, SET_BACK):
                self._special(row)
            before_seq, before_hash = seq, hash_
            expected = seq + 1 if isinstance(seq, int) else -1
        self.proof.rows = count
        if row is not None and self._first is not None:
            self._ends(row)

    def _misfit(self, row: tuple[Any, ...], before: Any) -> None:
        seq = row[SEQ]
        if not isinstance(seq, int) or not isinstance(before, int):
            self.proof.fault(f"Behind row {before} stands one whose number is {seq!r}, which is none.")
        elif seq == before + 1:
            self.proof.fault(f"Row {seq} does not follow row {before}: one was changed, removed or put in between.")
        elif seq == before + 2:
            self.proof.fault(f"Row {before + 1} is missing.")
        elif seq > before:
            self.proof.fault(f"Rows {before + 1} to {seq - 1} are missing.")
        else:
            self.proof.fault(f"Row {seq} stands behind row {before}: the order was changed.")

    def _special(self, row: tuple[Any, ...]) -> None:
        if row[ACTION] == SET_BACK:
            self._set_back(row)
            return
        try:
            made = msgspec.json.decode(row[DETAILS], type=Checkpoint)
        except _UNREADABLE:
            self.proof.fault(f"Row {row[SEQ]} is no checkpoint that can be read.")
            return
        if not checkpoint_is_signed(made, self._hub_key):
            self.proof.fault(f"Row {row[SEQ]} is a checkpoint that this hub did not sign.")
        self._checkpoints.append((row[SEQ], made))

    def _set_back(self, row: tuple[Any, ...]) -> None:
        try:
            said = msgspec.json.decode(row[DETAILS], type=dict[str, Any])
        except _UNREADABLE:
            said = {}
        sentence = (
            f"Row {row[SEQ]} tells that row {said.get('head_seq', '?')}, which the hub had written or signed a head "
            f"for, was not in its log any more"
        )
        if said.get("restored_from") is not None:
            self.proof.notes.append(f"{sentence}: it was restored from a backup of {said['restored_from']}.")
        else:
            self.proof.fault(f"{sentence}; nobody restored a backup, so rows were cut off.")

    def _ends(self, row: tuple[Any, ...]) -> None:
        assert self._first is not None
        proof = self.proof
        proof.first, proof.last, proof.last_hash = self._first[SEQ], row[SEQ], row[HASH]
        if isinstance(row[AT], int):
            proof.last_at = _moment(row[AT])
        if self._open:
            first = min((seq for seq in self._open if isinstance(seq, int)), default="?")
            proof.notes.append(
                f"{len(self._open)} actions began and their end was not written (the first in row {first}): the hub "
                "ended meanwhile, its database refused, or they are under way."
            )

    def beginning(self) -> None:
        """Whether the first row is the first of all, or stands behind a checkpoint."""
        first = self._first
        if first is None:
            return
        if not isinstance(first[SEQ], int):
            self.proof.fault(f"The first row has the number {first[SEQ]!r}, which is none.")
            return
        newest = max(self._checkpoints, key=lambda one: one[0], default=None)
        if newest is not None:
            made = newest[1]
            upto, hash_ = made.removed_upto, made.removed_hash
        elif self._keys is not None:
            upto, hash_ = 0, self._keys.genesis.hex()
        else:
            upto, hash_ = 0, None
        if first[SEQ] > upto + 1:
            self.proof.fault(f"Rows {upto + 1} to {first[SEQ] - 1} are missing, and no checkpoint tells of that.")
        elif first[SEQ] < upto + 1:
            self.proof.fault(
                f"Row {first[SEQ]} should have gone with the checkpoint that removed rows up to {upto}; it was put "
                "back."
            )
        elif hash_ is not None and (not isinstance(first[PREVIOUS], bytes) or first[PREVIOUS].hex() != hash_):
            where = "the beginning of this hub's log" if upto == 0 else f"row {upto}, the last that was removed"
            self.proof.fault(f"Row {first[SEQ]} does not follow {where}.")

    def signed_heads(self) -> None:
        for head in self._heads:
            if not head_is_signed(head, self._hub_key):
                self.proof.fault(f"The head of {head.at:%Y-%m-%d %H:%M:%S} UTC was not signed by this hub.")
                continue
            last, first = _number(self.proof.last, 0), _number(self.proof.first, 1)
            if head.seq > last:
                self.proof.fault(
                    f"The log ends at row {last}, and a head signed at {head.at:%Y-%m-%d %H:%M:%S} UTC tells of row "
                    f"{head.seq}: rows were cut off."
                )
            elif head.seq in self._hashes:
                held = self._hashes[head.seq]
                if not isinstance(held, bytes) or held.hex() != head.hash:
                    self.proof.fault(
                        f"Row {head.seq} is another than the head signed at {head.at:%Y-%m-%d %H:%M:%S} UTC tells: "
                        "the log was written anew."
                    )
            elif head.seq < first:
                self._before_the_first(head, first)

    def _before_the_first(self, head: Head, first: int) -> None:
        told = {made.removed_hash for _, made in self._checkpoints if made.removed_upto == head.seq}
        if told - {head.hash}:
            self.proof.fault(f"A checkpoint and a signed head tell different things of row {head.seq}.")
        elif not told:
            self.proof.unproved.append(
                f"The head of row {head.seq} is older than the first row that is kept ({first}); a newer one tells "
                "more."
            )

    def say_unproved(self) -> None:
        proof = self.proof
        if self._keys is None:
            proof.unproved.append(
                "Without the secret key file nobody can tell whether the hub itself wrote these rows; name it with "
                "--key-file."
            )
        if self._hub_key is None and (self._heads or self._checkpoints):
            proof.unproved.append("Heads and checkpoints were checked with the key that they name themselves.")
        fitting = [head for head in self._heads if head_is_signed(head, self._hub_key)]
        newest = max(fitting, key=lambda head: head.seq, default=None)
        if newest is None:
            proof.unproved.append("Without a signed head nobody can tell whether the newest rows were cut off.")
        else:
            proof.unproved.append(
                f"That no row was cut off is proved up to row {newest.seq}, signed at "
                f"{newest.at:%Y-%m-%d %H:%M:%S} UTC; a newer head that was kept elsewhere proves more."
            )


def _number(found: Any, otherwise: int) -> int:
    return found if isinstance(found, int) else otherwise


def _moment(microseconds: int) -> datetime | None:
    try:
        return datetime.fromtimestamp(microseconds / 1_000_000, UTC)
    except (OverflowError, ValueError, OSError):
        return None

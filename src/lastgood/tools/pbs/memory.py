"""What the collector of one server keeps over a restart, as bytes.

Comes in: what was counted and which moments were found to be wrong. Goes out: bytes for a ``Memory``. The one rule:
bytes that cannot be read are as good as none, and then counting begins anew. Outside format: MessagePack, version 1.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

import msgspec
from msgspec import Struct

from lastgood.tools.pbs.tasks import MOST_COUNTED, Counted

VERSION = 1
MOST_GROUPS = 5000
"""Groups whose wrong moments are kept."""

_PAIR = struct.Struct("<QQ")


class Held(Struct, frozen=True, array_like=True):
    version: int
    horizon: int | None = None
    totals: tuple[tuple[str, str, str, int], ...] = ()
    ended: bytes = b""
    running: bytes = b""
    misdated: dict[str, tuple[int, ...]] = {}


def encoded(counted: Counted, misdated: Mapping[str, frozenset[int]]) -> bytes:
    wrong = {group_id: tuple(sorted(times)) for group_id, times in list(misdated.items())[:MOST_GROUPS] if times}
    return msgspec.msgpack.encode(
        Held(
            version=VERSION,
            horizon=counted.horizon,
            totals=tuple((*key, total) for key, total in counted.totals.items()),
            ended=_packed(counted.ended),
            running=_packed(counted.running),
            misdated=wrong,
        )
    )


def decoded(held: bytes | None) -> tuple[Counted, dict[str, frozenset[int]], bool]:
    """What was held, and whether there was something that cannot be read."""
    if held is None:
        return Counted(), {}, False
    try:
        found = msgspec.msgpack.decode(held, type=Held)
        if found.version != VERSION:
            return Counted(), {}, True
        counted = Counted(
            totals={(kind, status, comment): total for kind, status, comment, total in found.totals},
            ended=_unpacked(found.ended),
            running=_unpacked(found.running),
            horizon=found.horizon,
        )
    except (msgspec.MsgspecError, struct.error):
        return Counted(), {}, True
    return counted, {group_id: frozenset(times) for group_id, times in found.misdated.items()}, False


def _packed(starts: Mapping[int, int]) -> bytes:
    return b"".join(_PAIR.pack(digest, start) for digest, start in list(starts.items())[-MOST_COUNTED:])


def _unpacked(packed: bytes) -> dict[int, int]:
    return dict(_PAIR.iter_unpack(packed))

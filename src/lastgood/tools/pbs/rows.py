"""A list as a server told it: the rows that can be read, and how many cannot.

Comes in: what ``reading.py`` decoded. Goes out: ``Api`` and who asks it. The one rule: a row that cannot be read
costs itself only, and then the list is not whole, so that nothing may be taken for gone because it is not in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows(Generic[T]):
    """``unreadable`` rows were left out, ``complaint`` says why the first of them; ``repeated`` ones came twice.

    ``total`` is the server's own, where it tells one.
    """

    rows: tuple[T, ...] = ()
    unreadable: int = 0
    repeated: int = 0
    complaint: str | None = None
    total: int | None = None

    @property
    def is_whole(self) -> bool:
        return self.unreadable == 0

    def __iter__(self) -> Iterator[T]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

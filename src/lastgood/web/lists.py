"""Lists cut into pages: by number for people, by cursor for programs; and the words by which both filter.

Comes in: query parameters. Goes out: slices. The one rule: a cursor names the last thing given, not a place, so
that what comes and goes in between neither repeats nor skips anything.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from heapq import merge, nsmallest
from itertools import islice
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode

import msgspec
from litestar import Request

from lastgood.web.faults import Invalid
from lastgood.web.readings import AlertReading, HostReading, RepositoryReading, RunReading, SourceReading

T = TypeVar("T")
R = TypeVar("R")

ROWS = 100
DEFAULT_LIMIT = 100
MOST = 1000
SORTED_AT_ONCE = 2_000


class SourceList(msgspec.Struct, frozen=True, kw_only=True):
    """``next_cursor`` goes into ``cursor`` of the next request; None on the last page."""

    items: list[SourceReading]
    total: int
    next_cursor: str | None


class HostList(msgspec.Struct, frozen=True, kw_only=True):
    """``next_cursor`` goes into ``cursor`` of the next request; None on the last page."""

    items: list[HostReading]
    total: int
    next_cursor: str | None


class RepositoryList(msgspec.Struct, frozen=True, kw_only=True):
    """``next_cursor`` goes into ``cursor`` of the next request; None on the last page."""

    items: list[RepositoryReading]
    total: int
    next_cursor: str | None


class RunList(msgspec.Struct, frozen=True, kw_only=True):
    """Newest first. Runs under way, or asked for and waiting, stand in ``running`` and not in ``items``."""

    items: list[RunReading]
    running: list[RunReading]
    next_cursor: str | None


class AlertList(msgspec.Struct, frozen=True, kw_only=True):
    """Newest first; ``next_cursor`` is None on the last page."""

    items: list[AlertReading]
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet(Generic[T]):
    """One page for people. ``previous`` and ``next`` are addresses, None where there is no such page."""

    rows: Sequence[T]
    total: int
    first: int
    number: int
    previous: str | None
    next: str | None

    @property
    def last(self) -> int:
        return self.first + len(self.rows) - 1


def page_number(request: Request[Any, Any, Any]) -> int:
    """The page that a person asked for; the first for anything that is no number."""
    said = request.query_params.get("page", "1")
    return int(said) if said.isascii() and said.isdecimal() and len(said) < 7 else 1


def cut(things: Collection[T], number: int, path: str, query: dict[str, Any], place: Callable[[T], Any]) -> Sheet[T]:
    """Page ``number`` (from 1) of ``things`` in the order of ``place``; a number past the end gives the last page."""
    pages = max((len(things) + ROWS - 1) // ROWS, 1)
    number = min(max(number, 1), pages)
    start = (number - 1) * ROWS
    return Sheet(
        rows=ordered(things, place, start, start + ROWS),
        total=len(things),
        first=start + 1,
        number=number,
        previous=address(path, query | {"page": number - 1}) if number > 1 else None,
        next=address(path, query | {"page": number + 1}) if number < pages else None,
    )


def ordered(things: Iterable[T], place: Callable[[T], Any], start: int, end: int) -> list[T]:
    """``sorted(things, key=place)[start:end]``, for very many things.

    One sort of them all would be a single step for the interpreter, and every other thread would wait for it.
    """
    left = iter(things)
    runs = iter(lambda: sorted(islice(left, SORTED_AT_ONCE), key=place), [])
    return list(islice(merge(*runs, key=place), start, end))


def address(path: str, query: dict[str, Any]) -> str:
    """``path`` with what of ``query`` says something."""
    said = {key: str(value) for key, value in query.items() if value not in (None, "", 1)}
    return f"{path}?{urlencode(said, errors='replace')}" if said else path


def after(ids: Iterable[str], cursor: str | None, limit: int) -> tuple[list[str], str | None]:
    """Up to ``limit`` ids past ``cursor`` in their order, and the cursor of what follows."""
    past = nsmallest(limit + 1, (identifier for identifier in ids if cursor is None or identifier > cursor))
    return past[:limit], past[limit - 1] if len(past) > limit else None


def batch(
    ids: Sequence[str], cursor: str | None, limit: int, read: Callable[[str], R]
) -> tuple[list[R], int, str | None]:
    """Items, total and next cursor for the API."""
    chosen, following = after(ids, cursor, check_limit(limit))
    return [read(identifier) for identifier in chosen], len(ids), following


def check_limit(limit: int) -> int:
    if not 1 <= limit <= MOST:
        raise Invalid("limit", f"limit must be from 1 to {MOST}.")
    return limit


def matches(text: str, *names: str) -> bool:
    """Whether every word of ``text`` stands in one of the names, whatever its case."""
    folded = "\n".join(names).casefold()
    return all(word in folded for word in text.casefold().split())

"""The one place that reads the wall clock; everywhere else a moment is an argument."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Answers the present moment as an aware UTC datetime; tests pass one that they turn."""


def now() -> datetime:
    """The present moment, aware and in UTC."""
    return datetime.fromtimestamp(time.time(), UTC)  # noqa: TID251 - this is clock.py

"""What is loaded at a start is kept out of the garbage collector's way. Nothing is decided here."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def settled_memory() -> Iterator[None]:
    """What is loaded within stays out of the garbage collector's sight: a look at a large fleet takes seconds."""
    gc.collect()
    gc.disable()
    try:
        yield
        gc.freeze()
        gc.set_threshold(700, 10, 100_000)
    finally:
        gc.enable()

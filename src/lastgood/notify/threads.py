"""Threads for what cannot be told to stop: resolving a name, a library that opens its own sockets.

The one rule: a thread that does not come back holds neither the event loop nor the end of the process, and there are
never more than ``most`` of them.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from lastgood.errors import DeliveryError

_T = TypeVar("_T")


class Threads:
    """Runs blocking functions for one event loop, each in a thread of its own."""

    def __init__(self, most: int) -> None:
        self._free = threading.Semaphore(most)

    async def run(self, fn: Callable[..., _T], *arguments: Any) -> _T:
        """What ``fn`` returns or raises. Raises DeliveryError if too many earlier ones have not come back."""
        if not self._free.acquire(blocking=False):
            raise DeliveryError("Too many earlier deliveries still hang; this one is tried again later.")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[_T] = loop.create_future()

        def work() -> None:
            try:
                answer = fn(*arguments)
            except BaseException as error:  # noqa: BLE001 - it is raised where the answer is awaited
                self._tell(loop, done, None, error)
            else:
                self._tell(loop, done, answer, None)
            finally:
                self._free.release()

        threading.Thread(target=work, name="notice", daemon=True).start()
        return await done

    def _tell(
        self, loop: asyncio.AbstractEventLoop, done: asyncio.Future[Any], answer: Any, error: BaseException | None
    ) -> None:
        def tell() -> None:
            if done.done():
                return  # nobody waits any more
            if error is None:
                done.set_result(answer)
            else:
                done.set_exception(error)

        try:
            loop.call_soon_threadsafe(tell)
        except RuntimeError:
            return  # the loop is over, and with it whoever waited

"""A real Chromium, driven over its own DevTools protocol: open a page, look at it, ask it something.

The one rule: a fresh profile each time and nothing but pages of ours; what a page shows is asked of the browser
itself. Follows the DevTools protocol, version 1.3.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import os
import shutil
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)
PATIENCE = 30.0


def where() -> str | None:
    """The browser's program; None if this machine has none."""
    named = os.environ.get("LASTGOOD_TEST_CHROMIUM", "/usr/bin/chromium")
    return shutil.which(named)


class Tab:
    """One page of the browser."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._events: deque[str] = deque(maxlen=1000)
        """What happened while an answer was waited for: a page may have loaded before the browser answers."""

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """The answer of one command."""
        number = next(self._numbers)
        await self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            said = json.loads(await self._socket.recv())
            if said.get("id") == number:
                if "error" in said:
                    raise AssertionError(f"{method}: {said['error']}")
                answer: dict[str, Any] = said["result"]
                return answer
            self._events.append(str(said.get("method")))

    async def open(self, url: str) -> None:
        """Go there and return when the page has loaded."""
        await self.call("Page.enable")
        self._events.clear()
        await self.call("Page.navigate", url=url)
        await self._loaded()

    async def follow(self, expression: str) -> None:
        """Do something that leads to another page and return when that has loaded."""
        await self.call("Page.enable")
        self._events.clear()
        await self.call("Runtime.evaluate", expression=expression)
        await self._loaded()

    async def _loaded(self) -> None:
        """Return when another page is there and has loaded; the blank one may still be telling that it has."""
        async with asyncio.timeout(PATIENCE):
            for wanted in ("Page.frameNavigated", "Page.loadEventFired"):
                while await self._event() != wanted:
                    pass

    async def _event(self) -> str:
        if self._events:
            return self._events.popleft()
        return str(json.loads(await self._socket.recv()).get("method"))

    async def size(self, width: int, height: int = 900, *, dark: bool = False) -> None:
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[scheme])

    async def cookie(self, url: str, name: str, value: str) -> None:
        await self.call("Network.setCookie", url=url, name=name, value=value, httpOnly=True)

    async def ask(self, expression: str) -> Any:
        """The value of a JavaScript expression; promises are awaited."""
        said = await self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in said:
            raise AssertionError(said["exceptionDetails"])
        return said["result"].get("value")

    async def picture(self, path: Path) -> None:
        """The whole page as a PNG file."""
        said = await self.call("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(said["data"]))


@asynccontextmanager
async def browser(profile: Path) -> AsyncIterator[Tab]:
    """One tab of a browser that is ended afterwards, whatever happened."""
    program = where()
    if program is None:
        raise FileNotFoundError("chromium")
    process = await asyncio.create_subprocess_exec(
        program,
        *FLAGS,
        f"--user-data-dir={profile}",
        "about:blank",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(PATIENCE):
            address = await _address(process)
        async with connect(address, max_size=64 * 1024 * 1024, proxy=None) as socket:
            yield Tab(socket)
    finally:
        process.kill()
        await process.communicate()


async def _address(process: asyncio.subprocess.Process) -> str:
    """The address of the first tab; the browser tells its own on standard error."""
    if process.stderr is None:
        raise AssertionError("the browser's standard error is not ours")
    async for line in process.stderr:
        text = line.decode(errors="replace").strip()
        if text.startswith("DevTools listening on "):
            return await _tab(text.removeprefix("DevTools listening on "))
    raise AssertionError("the browser ended before it listened")


async def _tab(address: str) -> str:
    async with connect(address, proxy=None) as socket:
        await socket.send(json.dumps({"id": 1, "method": "Target.createTarget", "params": {"url": "about:blank"}}))
        while True:
            said = json.loads(await socket.recv())
            if said.get("id") == 1:
                return address.rpartition("/devtools/")[0] + f"/devtools/page/{said['result']['targetId']}"

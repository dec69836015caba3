"""One simulated Kopia server with its sockets, in a thread of its own.

`KopiaServer(...)` is for tests (a context manager); `python -m tests.kopia_server` serves one from the command line.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import ssl
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

from tests.kopia_fake.scenario import Scenario
from tests.pbs_simulator.certificate import certificate

from . import connection, control
from .settings import Settings
from .site import Site

STARTS_WITHIN = 60.0


@asynccontextmanager
async def serving(site: Site, port: int = 0, control_port: int = 0) -> AsyncIterator[tuple[int, int]]:
    """Serve while the block runs; gives the two ports."""
    context = None
    if site.settings.tls:
        context = certificate(site.settings.serial).context()
        context.minimum_version = ssl.TLSVersion.TLSv1_3
    going: set[asyncio.Task[None]] = set()

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, serve: Any) -> None:
        task = asyncio.current_task()
        assert task is not None
        going.add(task)
        try:
            await serve(site, reader, writer)
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            going.discard(task)

    limit = 1 << 20
    api = await asyncio.start_server(
        lambda r, w: one(r, w, connection.serve), "127.0.0.1", port, ssl=context, limit=limit
    )
    asking = await asyncio.start_server(lambda r, w: one(r, w, control.serve), "127.0.0.1", control_port, limit=limit)
    try:
        yield api.sockets[0].getsockname()[1], asking.sockets[0].getsockname()[1]
    finally:
        api.close()
        asking.close()
        for task in list(going):
            task.cancel()
        await asyncio.gather(*going, return_exceptions=True)


def introduction(site: Site, port: int, control_port: int) -> dict[str, Any]:
    """What a client needs to know, as the first line of the program tells it."""
    settings = site.settings
    scheme = "https" if settings.tls else "http"
    fingerprint = certificate(settings.serial).pin.replace(":", "").lower() if settings.tls else None
    return {
        "url": f"{scheme}://127.0.0.1:{port}",
        "port": port,
        "control_port": control_port,
        "fingerprint": fingerprint,
        "passwords": settings.passwords(),
        "version": site.scenario.version,
        "now": site.now,
    }


class KopiaServer:
    """A server for a test. Leaving the block fails the test if anything but a known reader was called."""

    def __init__(self, settings: Settings | None = None, *, violations: bool = False, **scenario: Any) -> None:
        self.settings = settings or Settings()
        if scenario:
            self.settings.scenario = Scenario(**scenario)
        self._violations = violations
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kopia-server", daemon=True)
        self._failed: Exception | None = None
        self.told: dict[str, Any] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(STARTS_WITHIN):
            raise TimeoutError(f"the simulated server did not start within {STARTS_WITHIN:g} s")
        if self._failed is not None:
            raise self._failed
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        found = list(self._site.stats.violations)
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        if kind is None and not self._violations:
            assert found == [], "something was asked that a monitor must not ask"

    @property
    def url(self) -> str:
        return str(self.told["url"])

    @property
    def port(self) -> int:
        return int(self.told["port"])

    @property
    def fingerprint(self) -> str:
        return str(self.told["fingerprint"])

    def authorization(self, user: str | None = None, password: str | None = None) -> str:
        """The header of the control user, or of another."""
        name = user or self.settings.control_user
        secret = self.settings.passwords().get(name, "") if password is None else password
        return "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()

    def truth(self) -> dict[str, Any]:
        return dict(self._ask("GET", "/truth"))

    def stats(self) -> dict[str, Any]:
        return dict(self._ask("GET", "/stats"))

    def faults(self, *rules: dict[str, Any]) -> None:
        """Take these rules instead of those there are; none: all is well."""
        self._ask("POST", "/faults", list(rules))

    def happen(self, kind: str, **told: Any) -> None:
        """One event, now; see Site.on_*."""
        self._ask("POST", "/events", [{"kind": kind} | told])

    def advance(self, seconds: float) -> None:
        self._ask("POST", "/clock", {"advance_s": seconds})

    def notify(self, url: str, *sources: Any, **told: Any) -> dict[str, Any]:
        """Send a report about these sources (one batch), or with ``error=`` a generic error."""
        body = {"url": url, **told} | ({"sources": list(sources)} if sources else {})

        async def answer() -> dict[str, Any]:
            return await control.notify(self._site, body)

        return asyncio.run_coroutine_threadsafe(answer(), self._loop).result(STARTS_WITHIN)

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        async def answer() -> Any:
            return json.loads(json.dumps(control.control(self._site, method, path, body)))

        return asyncio.run_coroutine_threadsafe(answer(), self._loop).result(STARTS_WITHIN)

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        try:
            self._site = Site(self.settings)
            async with serving(self._site) as ports:
                self.told = introduction(self._site, *ports)
                self._ready.set()
                await self._stop.wait()
        except (OSError, ValueError) as error:
            self._failed = error
        finally:
            self._ready.set()

"""One simulated server with its sockets: the API over TLS, the control port, in a thread of its own.

`Simulator(...)` is for tests (a context manager, as many as wanted in one process); `python -m tests.pbs_simulator`
serves one from the command line. What is asked from outside the thread goes through the control port's function.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

from . import control
from .latency import Latency
from .listener import Listener
from .refusal import Mistake
from .site import Site
from .world import MONITOR, Setting

STARTS_WITHIN = 60.0


@asynccontextmanager
async def serving(site: Site, port: int = 0, control_port: int = 0) -> AsyncIterator[tuple[int, int]]:
    """Serve while the block runs; gives the two ports. Mistake if one of them is taken."""
    listener = Listener(site, port)
    try:
        asking = await asyncio.start_server(lambda r, w: control.serve(site, r, w), "127.0.0.1", control_port)
    except (OSError, OverflowError) as error:
        await listener.stop()
        raise Mistake(f"control port {control_port} cannot be used ({error}); say another one, or 0") from error
    site.go_down = listener.go_down
    listener.start()
    try:
        yield listener.port, asking.sockets[0].getsockname()[1]
    finally:
        asking.close()
        await listener.stop()


def introduction(site: Site, port: int, control_port: int, ca_file: Path) -> dict[str, Any]:
    """What a client needs to know, as the first line of the program tells it."""
    world = site.world
    return {
        "port": port,
        "control_port": control_port,
        "url": f"https://127.0.0.1:{port}",
        "pin": world.certificate().pin,
        "ca_file": str(ca_file),
        "token_id": MONITOR,
        "token": f"{MONITOR}:{world.secret(MONITOR)}",
        "tokens": {name: world.secret(name) for name in world.access.tokens},
        "version": str(world.version),
        "now": world.now,
    }


class Simulator:
    """A server for a test; its attributes are those of the introduction."""

    def __init__(
        self, setting: Setting | None = None, *, latency: Latency | None = None, auth_delay_scale: float = 0.0
    ) -> None:
        self.setting = setting or Setting()
        self._latency = latency or Latency()
        self._auth_delay_scale = auth_delay_scale
        self._ready = threading.Event()
        self._failed: Exception | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="pbs-simulator-")
        self._thread = threading.Thread(target=self._run, name="pbs-simulator", daemon=True)
        self.told: dict[str, Any] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(STARTS_WITHIN):
            raise TimeoutError(f"the simulator did not start within {STARTS_WITHIN:g} s")
        if self._failed is not None:
            raise self._failed
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(RuntimeError):  # its loop is closed where it has failed
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._folder.cleanup()

    @property
    def port(self) -> int:
        return int(self.told["port"])

    @property
    def url(self) -> str:
        return str(self.told["url"])

    @property
    def pin(self) -> str:
        return str(self.told["pin"])

    @property
    def ca_file(self) -> Path:
        return Path(self.told["ca_file"])

    def secret(self, token: str = MONITOR) -> str:
        return str(self.told["tokens"][token])

    def authorization(self, token: str = MONITOR) -> str:
        """The header that shows this token."""
        return f"PBSAPIToken={token}:{self.secret(token)}"

    def truth(self) -> dict[str, Any]:
        return dict(self._ask("GET", "/truth"))

    def stats(self) -> dict[str, Any]:
        return dict(self._ask("GET", "/stats"))

    def reset(self) -> None:
        self._ask("POST", "/reset")

    def faults(self, *rules: dict[str, Any]) -> None:
        """Take these rules instead of those there are; none: all is well."""
        self._ask("POST", "/faults", list(rules))

    def plan(self, *events: dict[str, Any]) -> None:
        """Events with their ``when``."""
        self._ask("POST", "/events", list(events))

    def happen(self, kind: str, **told: Any) -> None:
        """One event, now."""
        self.plan({"do": {"kind": kind} | told})

    def clock(self, **told: float) -> None:
        """``now``, ``advance_s`` or ``speed``."""
        self._ask("POST", "/clock", told)

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        async def answer() -> Any:
            # Through JSON and back, so that a test sees what the control port would tell.
            return json.loads(json.dumps(control.control(self._site, method, path, body)))

        return asyncio.run_coroutine_threadsafe(answer(), self._loop).result(STARTS_WITHIN)

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        try:
            self._site = Site(self.setting, self._latency, self._auth_delay_scale)
            async with serving(self._site) as ports:
                ca_file = Path(self._folder.name, "ca.pem")
                ca_file.write_text(self._site.world.certificate().pem)
                self.told = introduction(self._site, *ports, ca_file)
                self._ready.set()
                await self._stop.wait()
        except Mistake as mistake:
            self._failed = mistake
        finally:
            self._ready.set()

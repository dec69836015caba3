"""An ASGI application on a real socket of this machine, by the hub's own server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from lastgood.config.values import Listen
from lastgood.web.patience import Patience
from lastgood.web.server import HubServer, listen_on


@asynccontextmanager
async def serving(app: Any, patience: Patience | None = None) -> AsyncIterator[str]:
    """Serve while the block runs; gives ``127.0.0.1:port``."""
    bound = listen_on(Listen("127.0.0.1", 0))
    port = bound.getsockname()[1]
    server = HubServer(app, bound, patience=patience or Patience())
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop()

"""An ``Api`` on a simulated server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from lastgood.config.servers import PbsServer
from lastgood.secret import Secret
from lastgood.tools.pbs.api import Api
from tests.pbs_simulator import MONITOR, Simulator


def settings_of(pbs: Simulator, token: str = MONITOR, **other: Any) -> PbsServer:
    """The settings that pin its certificate; ``other`` instead of these."""
    told = {
        "name": "pbs-a",
        "endpoint": pbs.url,
        "token_id": token,
        "token_secret": Secret(pbs.secret(token)),
        "fingerprint": pbs.pin,
        "timeout_seconds": 20,
    }
    return PbsServer(**(told | other))


@asynccontextmanager
async def api_of(pbs: Simulator, token: str = MONITOR, **other: Any) -> AsyncIterator[Api]:
    api = Api(settings_of(pbs, token, **other))
    try:
        yield api
    finally:
        await api.close()

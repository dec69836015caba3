"""The hub's local socket, ``hub.sock`` in the data folder: how commands on the hub's own machine speak to its API.

Comes in: connections over a Unix socket that only the folder's owner may open. Goes out: the same application, told
that whoever asks owns this hub. The one rule: the mark is set here and nowhere else, so nobody on the network has it.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

from lastgood.config.private import reachable_socket
from lastgood.errors import ConfigError
from lastgood.web.asgi import App

NAME = "hub.sock"
MARK = "lastgood.local"


class LocalDoor:
    """Marks every HTTP request as one of the hub's owner; WebSockets stay what they are, nobody we know."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._app({**scope, MARK: True} if scope["type"] == "http" else scope, receive, send)


def listen_locally(data_dir: Path) -> socket.socket:
    """The bound socket, mode 0600; one that an ended hub left is replaced, for the folder is locked by us by now."""
    path = data_dir / NAME
    draft = data_dir / f".{NAME}.{os.getpid()}"
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        draft.unlink(missing_ok=True)
        with reachable_socket(draft) as address:
            server.bind(address)
        draft.chmod(0o600)  # nobody can have connected: it does not listen yet
        draft.rename(path)
        server.setblocking(False)
    except OSError as error:
        server.close()
        raise ConfigError(
            f"The local socket {path} cannot be made ({error.strerror}); put server.data_dir on a file system that "
            "has sockets."
        ) from error
    return server

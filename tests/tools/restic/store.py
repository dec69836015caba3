"""The far side of a REST repository: answers every request in one chosen way."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Store:
    """Listens on localhost; ``answer`` is the HTTP status to give, None to say nothing at all."""

    def __init__(self) -> None:
        self.answer: int | None = 404
        self.seen: list[str | None] = []
        self._released = threading.Event()
        store = self

        class Answering(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                store.seen.append(self.headers.get("Authorization"))
                if store.answer is None:
                    store._released.wait()
                    return
                self.send_response(store.answer)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Stay silent."""

        for method in ("HEAD", "GET", "POST", "DELETE"):
            setattr(Answering, f"do_{method}", Answering._answer)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def close(self) -> int:
        """Stop listening; the port that now refuses."""
        self._released.set()
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
        return self.port

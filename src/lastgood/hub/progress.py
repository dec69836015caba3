"""How far running backups are: the newest word of each connected host, in memory only.

Sessions tell, the progress bar of ``up`` and the pages ask or listen. An agent runs one backup at a time, so one
entry a host bounds it. The one rule: nothing here is evidence; a run is what its reports say.
"""

from __future__ import annotations

from collections.abc import Callable

from lastgood.wire.frames import Progress

Listener = Callable[[str, Progress | None], None]
"""Called on the event loop with the host's id and its progress, None when the run ended; must not block or raise."""


class ProgressStore:
    """Latest progress by host, told to whoever listens."""

    def __init__(self) -> None:
        self._latest: dict[str, Progress] = {}
        self._listeners: dict[object, Listener] = {}

    def of_host(self, host_id: str) -> Progress | None:
        """What the host's running backup last said."""
        return self._latest.get(host_id)

    def of_run(self, host_id: str, run_id: str) -> Progress | None:
        """What this run last said; None before its first word, and after its end."""
        latest = self._latest.get(host_id)
        return latest if latest is not None and latest.run_id == run_id else None

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` on each change until the returned function is called."""
        key = object()
        self._listeners[key] = listener
        return lambda: self._listeners.pop(key, None) and None

    def told(self, host_id: str, progress: Progress) -> None:
        """The host said how far it is."""
        self._latest[host_id] = progress
        self._tell(host_id, progress)

    def ended(self, host_id: str, run_id: str | None = None) -> None:
        """The run is over (None: whatever runs there); late words about other runs are left alone."""
        latest = self._latest.get(host_id)
        if latest is None or (run_id is not None and latest.run_id != run_id):
            return
        del self._latest[host_id]
        self._tell(host_id, None)

    def _tell(self, host_id: str, progress: Progress | None) -> None:
        for listener in tuple(self._listeners.values()):
            listener(host_id, progress)

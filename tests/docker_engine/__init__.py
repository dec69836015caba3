"""A container engine on a socket, out of a scripted world: lists, inspect, events, volumes, info and ping.

It speaks the shapes of API 1.41 (as recorded) or of 1.52, and misbehaves when told to: events are lost, the stream
ends, it hangs, it refuses. The one rule: what it lists is its ``world``; only what it tells of changes may be untrue.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

ZERO = "0001-01-01T00:00:00Z"
SYSTEM_TIME = "2026-11-20T08:41:07.970921318Z"


@dataclass(slots=True)
class Box:
    """One container of the world."""

    id: str
    name: str
    state: str = "running"
    health: str | None = None
    exit_code: int = 0
    oom: bool = False
    image: str = "nginx:1"
    labels: dict[str, str] = field(default_factory=dict)
    mounts: list[dict[str, Any]] = field(default_factory=list)
    environment: list[str] = field(default_factory=lambda: ["PASSWORD=hunter2"])
    policy: str = "no"
    started_at: str = "2026-11-20T08:00:00.123456789Z"
    finished_at: str = ZERO

    @property
    def status(self) -> str:
        if self.state == "exited":
            return f"Exited ({self.exit_code}) 5 seconds ago"
        if self.state == "restarting":
            return f"Restarting ({self.exit_code}) 1 second ago"
        words = {"starting": "health: starting"}.get(self.health or "", self.health)
        return "Up 3 minutes" + (f" ({words})" if words else "")


class Engine:
    """The far side of an engine's socket."""

    def __init__(self, path: Path, api: str = "1.41") -> None:
        self.path, self.api = path, api
        self.boxes: dict[str, Box] = {}
        self.volumes: list[dict[str, Any]] = []
        self.system_time: str | None = None
        self.asked: list[str] = []
        self.hung = asyncio.Event()
        """Set: every connection is taken and nothing is answered any more."""
        self.lose_events = False
        self.forbid_events = False
        self.info: dict[str, Any] = {
            "Name": "host-a",
            "ServerVersion": "20.10.24",
            "DockerRootDir": "/var/lib/docker",
        }
        self._ring: list[dict[str, Any]] = []
        self._nanoseconds = 1_795_164_000_000_000_000
        self._streams: set[asyncio.Queue[bytes | None]] = set()
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    # --- the world ------------------------------------------------------------------------------------------------

    def add(self, name: str, project: str | None = None, **told: Any) -> Box:
        number = len(self.boxes) + 1
        box = Box(id=f"{number:064x}", name=name, **told)
        if project is not None:
            box.labels |= {
                "com.docker.compose.project": project,
                "com.docker.compose.service": name,
                "com.docker.compose.container-number": "1",
                "com.docker.compose.oneoff": "False",
            }
        self.boxes[box.id] = box
        return box

    def happen(self, box: Box, action: str, **attributes: str) -> None:
        """An event, unless it is to be lost."""
        self._nanoseconds += 1_000_000
        kept = {**box.labels, "name": box.name, "image": box.image, **attributes}
        event: dict[str, Any] = {
            "Type": "container",
            "Action": action,
            "Actor": {"ID": box.id, "Attributes": kept},
            "scope": "local",
            "time": self._nanoseconds // 10**9,
            "timeNano": self._nanoseconds,
        }
        if self.api == "1.41":
            event |= {"status": action, "id": box.id, "from": box.image}
        if self.lose_events:
            return
        self._ring = [*self._ring, event][-256:]
        for stream in self._streams:
            stream.put_nowait(json.dumps(event).encode() + b"\n")

    def at(self, seconds: float) -> None:
        """Events come at this Unix time from now on."""
        self._nanoseconds = int(seconds * 1e9)

    def start(self, box: Box) -> None:
        box.state = "running"
        self.happen(box, "start")

    def stop(self, box: Box, code: int = 143) -> None:
        """As ``docker stop`` does."""
        box.state, box.exit_code = "exited", code
        self.happen(box, "kill", signal="15")
        self.happen(box, "die", exitCode=str(code))
        self.happen(box, "stop")

    def crash(self, box: Box, code: int = 1) -> None:
        box.state, box.exit_code = "exited", code
        self.happen(box, "die", exitCode=str(code))

    def end_streams(self) -> None:
        """Cut every stream of events, as a proxy or an ending engine does."""
        for stream in self._streams:
            stream.put_nowait(None)

    # --- the socket -----------------------------------------------------------------------------------------------

    async def begin(self) -> None:
        self._server = await asyncio.start_unix_server(self._take, str(self.path))

    async def end(self) -> None:
        """The engine is gone: nobody listens, its socket is removed and its memory of events lost."""
        if self._server is None:
            return
        self._server.close()
        self._ring = []
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        self._server = None
        self.path.unlink(missing_ok=True)

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            while request := await reader.readuntil(b"\r\n\r\n"):
                await self._answer(request.split(b" ")[1].decode(), writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._open.discard(task)
            writer.close()

    async def _answer(self, target: str, writer: asyncio.StreamWriter) -> None:
        path, query = urlsplit(target).path, parse_qs(urlsplit(target).query)
        self.asked.append(target)
        if self.hung.is_set():
            await asyncio.Event().wait()
        if path == "/_ping":
            await _send(writer, b"OK", f"Api-Version: {self.api}\r\n")
        elif path.endswith("/events"):
            await self._stream(int(query["since"][0]), json.loads(query["filters"][0]), writer)
        else:
            body = self._body(path.removeprefix(f"/v{self.api}"))
            status = "404 Not Found" if body is None else "200 OK"
            await _send(
                writer, json.dumps({"message": "No such container"} if body is None else body).encode(), "", status
            )

    def _body(self, path: str) -> Any:
        if path == "/info":
            return self.info if self.system_time is None else {**self.info, "SystemTime": self.system_time}
        if path == "/volumes":
            return {"Volumes": self.volumes or None, "Warnings": None}
        if path == "/containers/json":
            return [self._item(box) for box in self.boxes.values()]
        box = self.boxes.get(path.removeprefix("/containers/").removesuffix("/json"))
        return None if box is None else self._inspect(box)

    def _item(self, box: Box) -> dict[str, Any]:
        item = {
            "Id": box.id,
            "Names": [f"/other/{box.name}", f"/{box.name}"],
            "Image": box.image,
            "ImageID": "sha256:2d",
            "Command": "sh -c 'echo hunter2'",
            "Created": 1795164061,
            "Labels": box.labels,
            "State": box.state,
            "Status": box.status,
            "HostConfig": {"NetworkMode": "none"},
            "Mounts": box.mounts,
        }
        if self.api != "1.41":
            item |= {"Status": "Up 3 minutes", "Health": {"Status": box.health or "none", "FailingStreak": 0}}
        return item

    def _inspect(self, box: Box) -> dict[str, Any]:
        state: dict[str, Any] = {
            "Status": box.state,
            "ExitCode": box.exit_code,
            "OOMKilled": box.oom,
            "StartedAt": box.started_at,
            "FinishedAt": box.finished_at,
        }
        return {
            "Id": box.id,
            "Name": f"/{box.name}",
            "State": state,
            "RestartCount": 0,
            "HostConfig": {"RestartPolicy": {"Name": box.policy, "MaximumRetryCount": 0}},
            "Config": {"Env": box.environment, "Labels": box.labels, "Cmd": ["echo", "hunter2"]},
        }

    async def _stream(self, since: int, filters: dict[str, list[str]], writer: asyncio.StreamWriter) -> None:
        if self.forbid_events:
            await _send(writer, b'{"message": "forbidden"}', "", "403 Forbidden")
            return
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        for event in self._ring:
            if event["time"] >= since:
                queue.put_nowait(json.dumps(event).encode() + b"\n")
        self._streams.add(queue)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            await writer.drain()
            while (line := await queue.get()) is not None:
                action = json.loads(line)["Action"].partition(":")[0]
                if action in filters["event"]:
                    writer.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
                    await writer.drain()
            writer.write(b'5\r\n{"a')  # it ends in the middle of a chunk, as a real one does
            await writer.drain()
            raise ConnectionResetError
        finally:
            self._streams.discard(queue)


async def _send(writer: asyncio.StreamWriter, body: bytes, headers: str = "", status: str = "200 OK") -> None:
    writer.write(f"HTTP/1.1 {status}\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    await writer.drain()


@asynccontextmanager
async def an_engine_on(path: Path, api: str = "1.41") -> AsyncIterator[Engine]:
    """An engine that listens there for as long as the block lasts."""
    engine = Engine(path, api)
    await engine.begin()
    try:
        yield engine
    finally:
        await engine.end()


def recorded(name: str) -> Any:
    """A recording, decoded."""
    return json.loads((Path(__file__).parent.parent / "recordings" / "docker" / name).read_text())


def recorded_lines(name: str) -> Iterator[bytes]:
    path = Path(__file__).parent.parent / "recordings" / "docker" / name
    yield from path.read_bytes().splitlines()

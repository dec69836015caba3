"""Asks an engine over its socket: a few lists, and the stream of its events.

An ``Endpoint`` comes in; shapes go out, or a CollectError that says what is wrong. The one rule: every call has a
deadline and a bound on its answer, for a hung engine takes connections and answers nothing. Docker Engine API 1.24 to
1.52, negotiated: the lesser of what the engine and we know newest goes into every path.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from lastgood.errors import BadPayload, CollectError, ConfigError, Refused, Unreachable
from lastgood.tools.docker.endpoint import Endpoint
from lastgood.tools.docker.shapes import Event, Fault, Info, Inspect, Item, ToolInspect, Volumes

NEWEST = (1, 52)
OLDEST = (1, 24)
CALL_SECONDS = 20.0
PING_SECONDS = 5.0
LARGEST = 64 * 1024 * 1024
LONGEST_LINE = 1024 * 1024
WATCHED = {
    "type": ["container", "volume"],
    "event": [
        *("create", "start", "die", "stop", "kill", "pause", "unpause", "restart", "oom", "health_status"),
        *("destroy", "rename"),
    ],
}
"""What is asked of the event stream. Never all: each health probe adds three ``exec_*`` events."""

_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for a body that is not as it should be: bad bytes within a string and depth have their own."""
_VERSION = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})")

_T = TypeVar("_T")


class Client:
    """One engine. Made anew after it was away; ``close`` ends all its connections."""

    def __init__(self, endpoint: Endpoint, ping_seconds: float = PING_SECONDS) -> None:
        import httpx

        self._where = endpoint.url
        self._ping_seconds = ping_seconds
        transport = httpx.AsyncHTTPTransport(
            uds=endpoint.socket, verify=_trust(endpoint), limits=httpx.Limits(max_connections=8)
        )
        # A proxy from the environment is for the way out, not for an engine.
        self._http = httpx.AsyncClient(
            transport=transport, base_url=endpoint.base, timeout=httpx.Timeout(CALL_SECONDS), trust_env=False
        )
        self._version = ""
        self.kind = "docker"
        self.api_version = ""

    async def close(self) -> None:
        await self._http.aclose()

    async def ping(self) -> None:
        """Return if it answers; the first time, settle on a version."""
        import httpx

        try:
            async with asyncio.timeout(self._ping_seconds):
                answer = await self._http.get("/_ping")
        except (httpx.HTTPError, TimeoutError) as error:
            raise self._away(error) from error
        if answer.status_code != 200:
            raise self._refused(answer.status_code, answer.content)
        if not self._version:
            self._settle(answer.headers)

    def _settle(self, headers: Mapping[str, str]) -> None:
        told = headers.get("api-version", "")
        found = _VERSION.fullmatch(told)
        if found is None:
            raise BadPayload(f"What listens on {self._where} is no container engine: it names no API version.")
        theirs = (int(found[1]), int(found[2]))
        if theirs < OLDEST:
            raise BadPayload(
                f"The engine on {self._where} speaks API {told}, this agent {OLDEST[0]}.{OLDEST[1]} and later; "
                "update the engine.",
                retry=False,
            )
        chosen = min(theirs, NEWEST)
        self.kind = "podman" if "libpod-api-version" in headers else "docker"
        self.api_version = f"{chosen[0]}.{chosen[1]}"
        self._version = f"/v{self.api_version}"

    async def info(self) -> Info:
        return await self._get("/info", Info)

    async def containers(self) -> list[Item]:
        """Every container, running or not."""
        return await self._get("/containers/json", list[Item], {"all": "1"})

    async def inspect(self, container_id: str) -> Inspect:
        return await self._get(f"/containers/{container_id}/json", Inspect)

    async def tool_environment(self, container_id: str) -> list[str]:
        """The environment of a container of a backup tool; the caller keeps only settings that are no secrets."""
        told = await self._get(f"/containers/{container_id}/json", ToolInspect)
        return [] if told.config is None else told.config.env or []

    async def volumes(self) -> Volumes:
        return await self._get("/volumes", Volumes)

    async def events(self, since: int, opened: asyncio.Event) -> AsyncIterator[Event]:
        """What happens, from the second ``since`` on, until the engine ends the stream; ``opened`` is set at its
        beginning. A line that is no event is left out."""
        import httpx

        query = {"since": str(since), "filters": json.dumps(WATCHED, separators=(",", ":"))}
        quiet = httpx.Timeout(CALL_SECONDS, read=None)
        read = msgspec.json.Decoder(Event).decode
        try:
            async with self._http.stream("GET", f"{self._version}/events", params=query, timeout=quiet) as answer:
                if answer.status_code != 200:
                    raise self._refused(answer.status_code, b"")
                opened.set()
                async for line in _lines(answer.aiter_raw()):
                    try:
                        yield read(line)
                    except _UNREADABLE:
                        continue
        except httpx.HTTPError as error:
            if opened.is_set():  # who cut it, the engine or something on the way, only a ping can tell
                raise Unreachable(f"The stream of events from {self._where} was cut.", cause="stream") from error
            raise self._away(error) from error

    async def _get(self, path: str, kind: type[_T], query: dict[str, str] | None = None) -> _T:
        import httpx

        body = bytearray()
        try:
            async with (
                asyncio.timeout(CALL_SECONDS),
                self._http.stream("GET", self._version + path, params=query) as answer,
            ):
                async for chunk in answer.aiter_bytes():
                    body += chunk
                    if len(body) > LARGEST:
                        raise BadPayload(f"The engine on {self._where} answers {path} without end.")
        except (httpx.HTTPError, TimeoutError) as error:
            raise self._away(error) from error
        if answer.status_code != 200:
            raise self._refused(answer.status_code, bytes(body))
        try:
            return msgspec.json.decode(body, type=kind)
        except _UNREADABLE as error:
            raise BadPayload(f"The engine on {self._where} answers {path} with what cannot be read.") from error

    def _away(self, error: BaseException) -> CollectError:
        """The engine is not there, or there and silent: ``cause`` says which."""
        import httpx

        if isinstance(error, (TimeoutError, httpx.TimeoutException)):
            return Unreachable(
                f"The engine on {self._where} takes connections and answers nothing; restart it.", cause="silent"
            )
        inner: BaseException | None = error
        while inner is not None:
            if isinstance(inner, PermissionError):
                return Refused(
                    f"The agent may not use {self._where}; run it as root or in the group of that socket.",
                    cause="refused",
                )
            inner = inner.__cause__ or inner.__context__
        return Unreachable(f"Nobody answers on {self._where}; start the engine.", cause="down")

    def _refused(self, status: int, body: bytes) -> CollectError:
        try:
            said = msgspec.json.decode(body, type=Fault).message[:200]
        except _UNREADABLE:
            said = ""
        if status == 404:
            return BadPayload(f"The engine on {self._where} does not know it ({said or status}).", cause="missing")
        if status in (401, 403):
            return Refused(
                f"What stands before the engine on {self._where} forbids it ({said or status}).", cause="refused"
            )
        return BadPayload(f"The engine on {self._where} answered with status {status} ({said or 'no reason'}).")


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Whole lines; one that is longer than any event is dropped."""
    held, skipping = bytearray(), False
    async for chunk in chunks:
        *whole, rest = (bytes(held) + chunk).split(b"\n")
        for line in whole:
            if not skipping and line.strip():
                yield line
            skipping = False
        held = bytearray(rest)
        if len(held) > LONGEST_LINE:
            held, skipping = bytearray(), True


def _trust(endpoint: Endpoint) -> ssl.SSLContext | bool:
    if endpoint.certificates is None:
        return True
    folder = Path(endpoint.certificates)
    try:
        context = ssl.create_default_context(cafile=str(folder / "ca.pem") if endpoint.verify else None)
        if not endpoint.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if (folder / "cert.pem").exists():
            context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"The certificates in {folder} cannot be used ({error}); mend them.") from error
    return context

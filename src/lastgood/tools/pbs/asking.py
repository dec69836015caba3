"""How a Proxmox Backup Server is asked: with its token, in turn, and no more often than is good for it.

Comes in: a path below ``/api2/json`` with its parameters. Goes out: the body's pieces to a reader, or the server's
no as ``Refused``. The one rule: as long as the token is not accepted, one request goes alone, and what it hears
counts for all that wait behind it: each refusal costs three seconds and a line in the server's log. Outside format:
``Authorization: PBSAPIToken=USER@REALM!NAME:SECRET``, the secret percent-encoded.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Protocol, TypeVar
from urllib.parse import quote, urlencode

from lastgood.config.servers import PbsServer
from lastgood.errors import CollectError, ConfigError, Unreachable
from lastgood.model.pbs import Traffic
from lastgood.tools.http import Http, Patience, shown
from lastgood.tools.pbs.refusals import UNAUTHORISED, refused
from lastgood.tools.tls import Certificate, Trust

AT_ONCE = 4
MB = 1_000_000
_TOKEN = re.compile(r"[^\s:/\x00-\x1f\x7f]+@[A-Za-z0-9_][A-Za-z0-9._-]*![A-Za-z0-9_][A-Za-z0-9._-]*")
_PLAIN = "!\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~"
"""What stands in a secret as it is; above all ``%`` does not."""

Params = Mapping[str, str | int | None]
"""What is None is not sent."""
NOTHING: Params = {}

Read = TypeVar("Read", covariant=True)


@dataclass(frozen=True, slots=True)
class Effort:
    """What a call may cost: seconds to the first byte and for all, where the settings' are too few, and bytes."""

    first_byte: float
    whole: float
    limit: int
    alone: bool = False


SMALL = Effort(0, 0, 4 * MB)
LIST = Effort(60, 120, 64 * MB)
"""Groups of a release before 4.0.17 cost a manifest each, and the tasks of two days are many."""
SNAPSHOTS = Effort(120, 900, 512 * MB, alone=True)
"""The server reads a manifest for each snapshot before it says the first byte."""


class Reader(Protocol[Read]):
    """``feed`` takes a piece of the body, ``end`` gives what was read; both raise BadPayload, and run in a thread."""

    def feed(self, piece: bytes) -> None: ...

    def end(self) -> Read: ...


class Asking:
    """One server. Raises ConfigError for settings that cannot be right."""

    def __init__(self, server: PbsServer) -> None:
        where = f"[pbs.servers.{server.name}]" if server.name else "[pbs]"
        try:
            trust = Trust(fingerprint=server.fingerprint, ca_file=server.ca_file, verify=server.verify_tls)
            headers = {"Accept": "application/json", "Authorization": _authorization(server)}
            self._http = Http(server.endpoint, trust, name=server.name, headers=headers, at_once=AT_ONCE)
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from error
        self.is_verified = trust.is_verified
        self.name = self._http.name
        self._seconds = float(server.timeout_seconds)
        self._alone = asyncio.Semaphore(1)
        self._first = asyncio.Lock()
        self._accepted = False
        self._failures = 0
        self._failure: CollectError | None = None

    @property
    def certificate(self) -> Certificate | None:
        return self._http.certificate

    @property
    def traffic(self) -> Traffic:
        failed = dict(self._http.failed)
        return Traffic(requests=self._http.requests, received_bytes=self._http.received_bytes, errors=failed)

    async def close(self) -> None:
        await self._http.close()

    async def read(self, path: str, params: Params, effort: Effort, made: Callable[[str], Reader[Read]]) -> Read:
        """What the reader ``made`` read; it gets whom we asked for what, for its messages.

        Raises Refused, Unreachable, BadPayload.
        """
        given = {name: value for name, value in params.items() if value is not None}
        # Names in it came from the server, too.
        asked = shown(
            "".join((f"{self.name}: {path}", *(f" {name}={value}" for name, value in given.items()))).encode()
        )
        target = f"/api2/json/{path}" + (f"?{urlencode(given)}" if given else "")
        reader = made(asked)
        async with self._alone if effort.alone else nullcontext():
            await self._in_turn(asked, target, effort, reader)
        with self._http.counting():
            return await asyncio.to_thread(reader.end)

    async def _in_turn(self, asked: str, target: str, effort: Effort, reader: Reader[Read]) -> None:
        known = self._failures
        if not self._accepted:
            async with self._first:
                self._go_on(known)
                if not self._accepted:
                    await self._send(asked, target, effort, reader, known)
                    return
        await self._send(asked, target, effort, reader, known)

    async def _send(self, asked: str, target: str, effort: Effort, reader: Reader[Read], known: int) -> None:
        patience = Patience(
            self._seconds, max(self._seconds, effort.first_byte), max(self._seconds, effort.whole, effort.first_byte)
        )
        try:
            answer = await self._http.get(
                target, patience, effort.limit, reader.feed, before=lambda: self._go_on(known), asked=asked
            )
        except Unreachable as error:
            if not self._accepted:
                self._fail(error)
            raise
        if answer.is_success:
            self._accepted = True
            return
        refusal = refused(asked, answer.status, answer.text)
        if refusal.cause == UNAUTHORISED:
            self._accepted = False
            self._fail(refusal)
        elif answer.status in (400, 403):
            self._accepted = True
        raise refusal

    def _fail(self, failure: CollectError) -> None:
        self._failures += 1
        self._failure = failure

    def _go_on(self, known: int) -> None:
        """Raises what another request has heard since this one began to wait."""
        if self._failure is not None and self._failures != known:
            failure = self._failure
            raise type(failure)(str(failure), retry=failure.retry, cause=failure.cause)


def _authorization(server: PbsServer) -> str:
    if not _TOKEN.fullmatch(server.token_id):
        raise ConfigError(
            f"token_id {server.token_id[:100]!r} is not USER@REALM!NAME, such as monitor@pbs!lastgood; write it so, "
            "and the secret in token_secret."
        )
    if not server.token_secret:
        raise ConfigError("token_secret is empty; set what the server showed when the token was made.")
    return f"PBSAPIToken={server.token_id}:{quote(server.token_secret.reveal(), safe=_PLAIN)}"

"""How machines come in: by a code that somebody handed over, or by announcing themselves and being approved.

Comes in: what unknown machines say over HTTP, and what people decide about it. Goes out: hosts, through
``service/hosts.py``, and signed answers. The one rule: nothing is believed of an agent that it did not sign with its
own key, and an answer is signed with ours, so that neither can be told something by anybody in between.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

import msgspec
import structlog

from lastgood.auth.identity import KEY_BYTES, KeyPair, fingerprint, sign, verify
from lastgood.auth.secrets import keyed_digest, mint_token
from lastgood.clock import Clock
from lastgood.errors import AccessError
from lastgood.ids import ulid
from lastgood.model.host import Host
from lastgood.secret import Secret
from lastgood.service.hosts import Gone, Hosts, NameTaken, checked_name
from lastgood.store import enrolment as rows
from lastgood.store.database import Database
from lastgood.store.enrolment import APPROVED, REJECTED, EnrolCode, Full, PendingHost
from lastgood.wire import enrolment as wire
from lastgood.wire.enrolment import Announce, Announced, Enrolled, Redeem, Rekey, Rekeyed, bytes_of, text_of

CODE_FOR = timedelta(hours=1)
PENDING_FOR = timedelta(hours=24)
MOST_PENDING = 1000
MOST_OF_ADDRESS = 100
MOST_CODES = 1000
OTHER_NAME = "choose another with --name"
WRONG_CODE = (
    "This code is not known here: it was used, its hour is over, or it was copied wrong; make a new one with: "
    "lastgood enrol-code create"
)

_log = structlog.get_logger("lastgood.enrolment")


@dataclass(frozen=True, slots=True, kw_only=True)
class Minted:
    """A fresh code. The text exists here only; what is stored is its digest."""

    row: EnrolCode
    text: Secret


class Enrolment:
    """``key`` is the subkey for the digests of codes."""

    def __init__(self, database: Database, hosts: Hosts, keys: KeyPair, key: bytes, clock: Clock) -> None:
        self._database = database
        self._hosts = hosts
        self._keys = keys
        self._key = key
        self._clock = clock
        self.most_of_address = MOST_OF_ADDRESS
        """How many machines of one address may wait."""

    @property
    def hub(self) -> str:
        """The fingerprint of the hub's key."""
        return self._keys.fingerprint

    # --- codes ------------------------------------------------------------------------------------------------

    async def make_code(self, by: str, *, name: str | None = None, for_host: str | None = None) -> Minted:
        """A code for one machine, or for a new agent of an existing host. Raises AccessError."""
        now = self._clock()
        if name is not None:
            name = checked_name(name)
            self._hosts.check_free(name)
        if for_host is not None:
            name = self._hosts.get(for_host).name
        token = mint_token("enrol").reveal()
        code = EnrolCode(
            id=ulid(now),
            digest=self._digest(token),
            created_by=by,
            created_at=now,
            expires_at=now + CODE_FOR,
            name=name,
            for_host=for_host,
        )
        if await self._database.read(partial(rows.count_codes, now=now)) >= MOST_CODES:
            raise AccessError(f"{MOST_CODES} codes wait to be used; revoke some, or wait an hour.", status=409)
        await self._database.write(partial(rows.add_code, code=code))
        _log.info("enrolment code made", code=code.id, by=by, name=name)
        return Minted(row=code, text=Secret(wire.compose_code(token, self.hub)))

    async def redeem(self, asked: Redeem) -> Enrolled:
        """The machine as a host. Raises AccessError; a refused name leaves the code as it was."""
        code = wire.read_code(asked.code)
        if code is None:
            raise AccessError("This is no enrolment code; copy all of it, from lg_enrol_ to its end.", status=422)
        if code.hub != self.hub:
            raise AccessError(
                f"This code belongs to the hub {code.hub}, and this is {self.hub}; mend the address.", status=409
            )
        _check_proof(asked.key, asked.signature, wire.REDEEM_CONTEXT, asked.parts(self.hub))
        now, digest = self._clock(), self._digest(code.token)
        held = await self._database.read(partial(rows.find_code, digest=digest, now=now))
        if held is None:
            raise AccessError(WRONG_CODE)
        host = await self._redeemed(asked, held, now)
        return self._signed(asked, host)

    async def _redeemed(self, asked: Redeem, held: EnrolCode, now: datetime) -> Host:
        host_id, name = held.for_host or ulid(now), _name_for(asked, held)
        if held.used_at is None and held.for_host is None:
            self._hosts.check_free(name, mend=OTHER_NAME)
        use = partial(rows.use_code, digest=held.digest, key=asked.key, host_id=host_id, host_name=name, now=now)
        used = await self._database.write(use)
        if used is None or used.host_id is None or used.host_name is None:
            raise AccessError(WRONG_CODE)
        if used.for_host is not None:
            return await self._hosts.enrol_anew(used.for_host, asked.key, used.created_by, f"enrol-code:{used.id}")
        host = Host(id=used.host_id, name=used.host_name, key=asked.key, enrolled_at=used.used_at or now)
        try:
            return await self._hosts.enrol(host, used.created_by, OTHER_NAME)
        except NameTaken:
            if held.used_at is None:
                await self._database.write(partial(rows.release_code, code_id=used.id, host_id=host.id))
            raise

    def _signed(self, asked: Redeem, host: Host) -> Enrolled:
        answer = Enrolled(host_id=host.id, name=host.name, hub_key=text_of(self._keys.public_key))
        signature = sign(self._keys.private_key, wire.ENROLLED_CONTEXT, *answer.parts(asked))
        return msgspec.structs.replace(answer, signature=text_of(signature))

    # --- announcements ----------------------------------------------------------------------------------------

    async def standing(self, asked: Announce) -> Announced | None:
        """How an announcement stands; None for a key that has not announced itself. Raises AccessError."""
        _check_proof(asked.key, asked.signature, wire.ANNOUNCE_CONTEXT, asked.parts())
        held = await self._database.read(partial(rows.find_pending, key=asked.key, now=self._clock()))
        return None if held is None else await self._told(asked, held)

    async def announce(self, asked: Announce, address: str) -> Announced:
        """Keep an announcement. Raises AccessError."""
        _check_proof(asked.key, asked.signature, wire.ANNOUNCE_CONTEXT, asked.parts())
        now = self._clock()
        host = PendingHost(
            id=ulid(now),
            key=asked.key,
            name=checked_name(asked.name or asked.hostname),
            hostname=asked.hostname,
            address=address,
            agent_version=asked.agent_version,
            system=asked.system,
            announced_at=now,
            expires_at=now + PENDING_FOR,
        )
        keep = partial(rows.announce, host=host, most=MOST_PENDING, most_of_address=self.most_of_address)
        held = await self._database.write(keep)
        if isinstance(held, Full):
            most = self.most_of_address if held.of_address else MOST_PENDING
            whose = "of this address " if held.of_address else ""
            raise AccessError(
                f"{most} machines {whose}wait for approval already; have some approved or rejected first, or use an "
                "enrolment code.",
                status=429,
            )
        if held.id == host.id:
            _log.info("machine announced itself", pending=host.id, name=host.name, address=address)
        return await self._told(asked, held)

    async def approve(self, pending_id: str, shown: str, by: str, name: str | None = None) -> Host:
        """Make the announced machine a host, if its key has the fingerprint ``shown``. Raises AccessError."""
        now = self._clock()
        held = await self._waiting(pending_id, now)
        if shown != fingerprint(bytes_of(held.key)):
            raise AccessError(
                "The fingerprint is not that of this machine's key; compare it with what the machine itself shows, "
                "and reject it if they differ.",
                status=409,
            )
        name = checked_name(name) if name is not None else held.name
        self._hosts.check_free(name, mend=OTHER_NAME)
        host_id = ulid(now)
        decide = partial(rows.decide, pending_id=held.id, state=APPROVED, host_id=host_id, name=name, by=by, now=now)
        if not await self._database.write(decide):
            raise Gone("Somebody else decided about this machine just now; list the hosts.")
        try:
            return await self._admit(replace(held, host_id=host_id, name=name, decided_by=by))
        except NameTaken:
            await self._database.write(partial(rows.undecide, pending_id=held.id, host_id=host_id))
            raise

    async def reject(self, pending_id: str, by: str) -> PendingHost:
        """Turn the machine away; until its day is over it is told so. Raises AccessError."""
        now = self._clock()
        held = await self._waiting(pending_id, now)
        decide = partial(
            rows.decide, pending_id=held.id, state=REJECTED, host_id=None, name=held.name, by=by, now=now
        )
        if not await self._database.write(decide):
            raise Gone("Somebody else decided about this machine just now; list the hosts.")
        _log.info("machine rejected", pending=held.id, name=held.name, by=by)
        return held

    async def _waiting(self, pending_id: str, now: datetime) -> PendingHost:
        held = await self._database.read(partial(rows.get_pending, pending_id=pending_id, now=now))
        if held is None or held.state in (APPROVED, REJECTED):
            raise Gone("No machine waits under this id; it was decided about, or its day is over.")
        return held

    async def _admit(self, held: PendingHost) -> Host:
        host = Host(id=held.host_id or "", name=held.name, key=held.key, enrolled_at=self._clock())
        return await self._hosts.enrol(host, held.decided_by or "", OTHER_NAME)

    async def _told(self, asked: Announce, held: PendingHost) -> Announced:
        """The signed answer; an approval that was interrupted before it made a host is finished here."""
        hub_key = text_of(self._keys.public_key)
        answer = Announced(state="waiting", pending_id=held.id, name=held.name, hub_key=hub_key)
        if held.state == REJECTED:
            answer = msgspec.structs.replace(answer, state="rejected")
        elif held.state == APPROVED:
            try:
                host = await self._admit(held)
                answer = msgspec.structs.replace(answer, state="approved", host_id=host.id, name=host.name)
            except (Gone, NameTaken):
                answer = msgspec.structs.replace(answer, state="rejected")
        signature = sign(self._keys.private_key, wire.ANNOUNCED_CONTEXT, *answer.parts(asked))
        return msgspec.structs.replace(answer, signature=text_of(signature))

    # --- keys -------------------------------------------------------------------------------------------------

    async def rekey(self, asked: Rekey) -> Rekeyed:
        """One step of a change of keys. Raises AccessError."""
        host, parts = self._hosts.get(asked.host_id), asked.parts(self.hub)
        _check_proof(asked.new_key, asked.new_signature, wire.REKEY_CONTEXT, parts)
        if asked.step == "offer":
            held = host.key if asked.new_key == host.key else await self._held(host, asked, parts)
            await self._hosts.offer_key(host.id, asked.new_key, held)
        elif asked.new_key not in (host.key, host.next_key):
            raise AccessError("The key was not offered before; run lastgood agent rotate-key again.", status=409)
        else:
            await self._hosts.use_key(host.id, asked.new_key)
        answer = Rekeyed(hub_key=text_of(self._keys.public_key))
        signature = sign(self._keys.private_key, wire.REKEYED_CONTEXT, *answer.parts(asked))
        return msgspec.structs.replace(answer, signature=text_of(signature))

    async def _held(self, host: Host, asked: Rekey, parts: tuple[bytes, ...]) -> str:
        """The key that signed an offer: the one in force; or one that is in its place already, where the word of
        that never came here."""
        if host.next_key is not None and _fits(host.next_key, asked.signature, wire.REKEY_CONTEXT, parts):
            await self._hosts.use_key(host.id, host.next_key)
            return host.next_key
        _check_proof(host.key, asked.signature, wire.REKEY_CONTEXT, parts)
        return host.key

    def _digest(self, token: str) -> str:
        return keyed_digest(self._key, "enrolment code", token).hex()


def _name_for(asked: Redeem, held: EnrolCode) -> str:
    """The name that the host will have; raises AccessError."""
    if held.name is not None:
        if asked.name is not None and asked.name.strip().casefold() != held.name.casefold():
            raise AccessError(f"This code was made for {held.name}; leave --name out.", status=409)
        return held.name
    return checked_name(asked.name or asked.hostname)


def _check_proof(key: str, signature: str, context: str, parts: tuple[bytes, ...]) -> None:
    if not _fits(key, signature, context, parts):
        raise AccessError("The signature does not fit the key; the request was altered, or the agent is broken.")


def _fits(key: str, signature: str, context: str, parts: tuple[bytes, ...]) -> bool:
    raw = bytes_of(key)
    return len(raw) == KEY_BYTES and verify(raw, bytes_of(signature), context, *parts)

"""A real site for tests: a real SQLite store in a folder, a fleet of real values, a clock that is turned.

``Home`` takes facts as the hub does, without its log: it learns them and judges anew. The one rule: nothing here
answers for the pages; it only holds what they ask for.
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import cache, cached_property
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx

from lastgood.auth.identity import mint_key_pair
from lastgood.auth.passwords import hash_password
from lastgood.auth.roles import BUILT_IN
from lastgood.auth.secrets import mint_token
from lastgood.auth.tokens import ENTROPY_BYTES, digest_of, lookup_of, mint
from lastgood.config.settings import NoticeSettings, ServerSettings, Settings
from lastgood.errors import Refused
from lastgood.fleet import judge
from lastgood.fleet.fleet import Fleet
from lastgood.hub.roster import Roster
from lastgood.hub.socket import Socket
from lastgood.hub.wishes import Wish
from lastgood.ids import ulid
from lastgood.model.fact import Fact
from lastgood.model.job import RunStart
from lastgood.model.repository import Probe
from lastgood.service.audit import Audit
from lastgood.service.channels import Channels
from lastgood.service.checkpoint import Checkpoint
from lastgood.service.collectors import Collectors, Configured
from lastgood.service.credentials import Credentials
from lastgood.service.enrolment import Enrolment
from lastgood.service.hosts import Hosts
from lastgood.service.ingest import Ingest
from lastgood.service.orders import Orders
from lastgood.service.people import People
from lastgood.service.roles import Roles
from lastgood.service.stacks import Stacks
from lastgood.service.tokens import Tokens
from lastgood.service.trial import Trials
from lastgood.store import accounts
from lastgood.store.accounts import Session, SignInLink, User
from lastgood.store.database import Database, open_database
from lastgood.store.lease import AlwaysHeld
from lastgood.store.log import Append, Mark
from lastgood.store.telling import Told
from lastgood.store.tokens import ApiToken, add_token
from lastgood.web.access import SignInLimits
from lastgood.web.app import create_app
from lastgood.web.session import SESSION_FOR, link_digest, session_digest
from lastgood.web.site import Site
from lastgood.wire.frames import Progress, RepositoryAccess, Tested
from tests.builders import NOW, an_id

PASSWORD = "a long enough password"
TOKEN = mint(b"a token of the tests".ljust(ENTROPY_BYTES)).reveal()
"""Of a program that may do everything."""
ORIGIN = "http://hub.test"
NOTICES = Settings(notices=NoticeSettings(allowed_networks=(ip_network("127.0.0.1"),)))
TOKEN_KEY = b"t" * 32
HUB_KEYS = mint_key_pair(b"h" * 32)


class Home:
    """What the composition root is to the web, made of a fleet, a database and a clock."""

    def __init__(
        self,
        database: Database,
        fleet: Fleet | None = None,
        server: ServerSettings | None = None,
        collected: Sequence[Configured] = (),
    ) -> None:
        self.database = database
        self.fleet = fleet or Fleet()
        self.fleet.judging.evaluated_at = self.fleet.judging.evaluated_at or NOW
        self.moment = NOW
        self.progress: dict[str, Progress] = {}
        self.asked: list[tuple[str, ...]] = []
        self.wished: list[tuple[Wish, str, str | None]] = []
        self.queued: dict[str, RunStart] = {}
        self.refusal: str | None = None
        self.sockets: list[Socket] = []
        self.limits = SignInLimits()
        self._numbers = itertools.count(1)
        self.serve: Callable[[Socket], Awaitable[None]] = self._echo
        self.ingest = Ingest(
            database, self.fleet, Checkpoint(database, self.fleet), lambda _changes, _at: self.judge()
        )
        self.channels = Channels.of(database, lambda: self.moment, NOTICES, b"c" * 32, AlwaysHeld())
        self.collectors = Collectors(
            collected, self.fleet, self._take_anonymously, lambda: self.moment, AlwaysHeld(), lambda _name: None
        )
        self.roster = Roster()
        self.hosts = Hosts(self.fleet, self.take, lambda: self.moment, database, self.roster)
        self.credentials = Credentials(database, self.fleet, b"s" * 32, self.take)
        self.orders = Orders(self.fleet, self.roster, self.credentials.access)
        trials = Trials(
            self.fleet, self.roster, self.credentials.access, lambda: ulid(self.moment), self._look_here, 5.0
        )
        self.enrolment = Enrolment(database, self.hosts, HUB_KEYS, b"e" * 32, lambda: self.moment)
        self.stacks = Stacks(
            database,
            self.fleet,
            self.roster,
            b"s" * 32,
            lambda facts: self.ingest.take(Append(tuple(facts))),
            lambda: ulid(self.moment),
            lambda: self.moment,
            timedelta(days=400),
        )
        self.audit = Audit(
            database,
            b"s" * 32,
            HUB_KEYS,
            lambda: self.moment,
            Settings(server=ServerSettings(data_dir=database.path.parent)),
            AlwaysHeld(),
        )
        self.roles = Roles(database, lambda: self.moment)
        self.tokens = Tokens(database, self.roles, TOKEN_KEY, lambda: self.moment)
        self.people = People(database, self.roles, lambda: self.moment)
        self.site = Site(
            now=lambda: self.moment,
            view=lambda: self.fleet.view(),
            take=self.take,
            read=database.read,
            read_in_step=database.read,
            write=database.write,
            run_now=self._run_now,
            start_run=self._start_run,
            queued=lambda: self.queued,
            cancel=self._cancel,
            look_now=self._look_now,
            progress=lambda: self.progress,
            serve_agent=lambda socket: self.serve(socket),
            settings=Settings(server=server or ServerSettings()),
            secret_key=b"k" * 32,
            hub_fingerprint="SHA256:abc",
            credentials=self.credentials,
            orders=self.orders,
            trials=trials,
            channels=self.channels,
            hosts=self.hosts,
            enrolment=self.enrolment,
            collectors=self.collectors,
            stacks=self.stacks,
            deploy_words=self.roster.words,
            roles=self.roles,
            tokens=self.tokens,
            people=self.people,
            audit=self.audit,
        )

    def turn(self, **length: float) -> datetime:
        self.moment += timedelta(**length)
        return self.moment

    async def take(self, facts: Sequence[Fact], request_id: str) -> None:
        await self.ingest.take(Append(tuple(facts), Mark(f"request:{request_id}", 1)))

    async def _take_anonymously(self, facts: Sequence[Fact]) -> None:
        await self.ingest.take(Append(tuple(facts)))

    def judge(self) -> None:
        """Tell the states of this moment anew."""
        judging = self.fleet.judging
        judging.evaluated_at = self.moment
        for source in self.fleet.sources.values():
            judging.states[source.id] = judge.source_state(self.fleet, source, self.moment)[0]

    async def keep(self, facts: Iterable[Fact], log: str = "") -> None:
        """History rows alone, as if the facts had been taken long ago."""
        told = Told()
        for number, fact in enumerate(facts):
            told.add(number + 1000, fact, log)
        await self.database.write(told.save)

    async def link(self, user_name: str | None = None, **life: float) -> str:
        token = mint_token("link").reveal()
        link = SignInLink(
            digest=link_digest(self.site.secret_key, token),
            purpose="welcome",
            user_name=user_name,
            expires_at=self.moment + timedelta(**(life or {"hours": 1})),
        )
        await self.database.write(lambda rows: accounts.add_link(rows, link))
        return token

    @cached_property
    def app(self) -> Any:
        """The application over this home; made once, for it takes its time."""
        return create_app(self.site, limits=self.limits)

    def client(self, base_url: str = ORIGIN, **options: object) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self.app, client=("192.0.2.7", 5000))
        return httpx.AsyncClient(transport=transport, base_url=base_url, **options)  # type: ignore[arg-type]

    async def signed_in(self, name: str = "ann", role: str = "admin") -> httpx.AsyncClient:
        """A browser with a session of a user whose password is ``PASSWORD``."""
        secret = f"session {next(self._numbers)}"
        user = User(id=an_id(name), name=name, role=role, created_at=NOW, password_hash=password_hash())
        session = Session(
            digest=session_digest(self.site, secret),
            user_id=user.id,
            created_at=self.moment,
            seen_at=self.moment,
            expires_at=self.moment + SESSION_FOR,
            address="192.0.2.7",
            agent="tests",
        )
        await self.database.write(lambda rows: accounts.add_user(rows, user))
        await self.database.write(lambda rows: accounts.add_session(rows, session))
        return self.client(cookies={"lastgood": secret})

    async def know_program(self) -> None:
        """The token of ``program`` as a row; before it the first request would need the database's writer."""
        made = ApiToken(
            id=an_id("script"),
            name="script",
            role="admin",
            lookup=lookup_of(TOKEN) or "",
            digest=digest_of(TOKEN_KEY, TOKEN),
            created_at=NOW,
            created_by="tests",
        )
        await self.database.write(lambda rows: add_token(rows, made))
        await self.tokens.load()

    async def token(self, role: str = "admin", **more: Any) -> str:
        """The text of a new API token."""
        name = f"{role} {next(self._numbers)}"
        made = await self.tokens.create(name, role, "ann", BUILT_IN["admin"], **more)
        return made.text.reveal()

    def bearing(self, token: str, **options: Any) -> httpx.AsyncClient:
        return self.client(headers={"Authorization": f"Bearer {token}"}, **options)

    def program(self) -> httpx.AsyncClient:
        return self.client(headers={"Authorization": f"Bearer {TOKEN}"})

    async def _run_now(self, source_id: str, by: str) -> str:
        return self._ask("run", source_id, by) or ulid(self.moment)

    async def _start_run(self, wish: Wish, by: str, key: str | None = None) -> str:
        self._ask("run", wish.source_id or wish.repository_id or "", by)
        run_id = ulid(self.moment)
        source = self.fleet.sources.get(wish.source_id or "")
        host_id = wish.host_id or (source.host_id if source is not None else None) or ""
        self.queued[run_id] = RunStart(id=run_id, kind=wish.kind, host_id=host_id, started_at=self.moment)
        self.wished.append((wish, by, key))
        return run_id

    async def _cancel(self, run_id: str, by: str) -> None:
        self._ask("cancel", run_id, by)

    async def _look_here(self, access: RepositoryAccess) -> Tested:
        self.asked.append(("look here", access.id))
        return Tested(answer_to="", probe=Probe.MISSING, message="There is nothing.")

    async def _look_now(self, repository_id: str) -> None:
        self._ask("look", repository_id)

    def _ask(self, *wish: str) -> None:
        if self.refusal is not None:
            raise Refused(self.refusal)
        self.asked.append(wish)

    async def _echo(self, socket: Socket) -> None:
        self.sockets.append(socket)
        while True:
            said = await socket.receive()
            await socket.send(said if isinstance(said, bytes) else said.encode())


@cache
def password_hash() -> str:
    """Made once: each takes as long as an attacker would need."""
    return hash_password(PASSWORD)


@asynccontextmanager
async def at_home(
    folder: Path,
    fleet: Fleet | None = None,
    server: ServerSettings | None = None,
    collected: Sequence[Configured] = (),
):
    database = open_database(folder)
    try:
        home = Home(database, fleet, server, collected)
        await home.ingest.start()
        await home.know_program()
        yield home
        await home.ingest.stop()
    finally:
        await database.close()


def form_token(body: str) -> str:
    """The token that a page's forms carry."""
    return body.split('name="csrf" value="', 1)[1].split('"', 1)[0]


async def welcome(
    client: httpx.AsyncClient, token: str, name: str = "ann", password: str = PASSWORD
) -> httpx.Response:
    page = await client.get(f"/welcome/{token}")
    assert page.status_code == 200, page.text
    said = {"csrf": form_token(page.text), "name": name, "password": password, "again": password}
    return await client.post(f"/welcome/{token}", data=said)


async def sign_in(
    client: httpx.AsyncClient, name: str = "ann", password: str = PASSWORD, **more: str
) -> httpx.Response:
    page = await client.get("/sign-in")
    said = {"csrf": form_token(page.text), "name": name, "password": password, **more}
    return await client.post("/sign-in", data=said)

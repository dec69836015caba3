"""What the pages and the API need of the hub: values and callables, handed over by the composition root.

Comes in: nothing; this is the seam itself. Goes out: ``Site``, which every request reads. The one rule: the web
knows the hub only through these fields, so a test builds a real site without a service.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from sqlalchemy import Connection

from lastgood.clock import Clock
from lastgood.config.settings import Settings
from lastgood.fleet.fleet import FleetView
from lastgood.hub.socket import Socket
from lastgood.hub.wishes import Wish
from lastgood.hub.words import Words
from lastgood.model.fact import Fact
from lastgood.model.job import RunStart
from lastgood.service.audit import Audit
from lastgood.service.channels import Channels
from lastgood.service.collectors import Collectors
from lastgood.service.credentials import Credentials
from lastgood.service.enrolment import Enrolment
from lastgood.service.hosts import Hosts
from lastgood.service.orders import Orders
from lastgood.service.people import People
from lastgood.service.roles import Roles
from lastgood.service.stacks import Stacks
from lastgood.service.tokens import Tokens
from lastgood.service.trial import Trials
from lastgood.wire.frames import Progress

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who asks: a signed-in person by the digest of their session, or somebody without one.

    ``kind`` is person, token, agent, system or local; ``id`` is the user's or token's, empty for those who have none.
    ``hosts`` are those that a token is for, None for the whole fleet.
    """

    name: str
    session: str | None = None
    kind: str = "person"
    id: str = ""
    permissions: frozenset[str] = frozenset()
    hosts: frozenset[str] | None = None

    def may(self, *permissions: str) -> bool:
        """Whether they have one of these."""
        return not self.permissions.isdisjoint(permissions)


class Ask(Protocol):
    async def __call__(self, fn: Callable[[Connection], T]) -> T:
        """The answer of a function of ``lastgood.store``; of a write once it is on disk. Raises ``StoreError``."""
        ...


class Take(Protocol):
    async def __call__(self, facts: Sequence[Fact], request_id: str) -> None:
        """Return when the facts are committed and learned; facts of a ``request_id`` seen before change nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """All that a request may use.

    ``read_in_step`` reads history and returns once the fleet has learned all that the history tells: a run that
    has ended in one answer is not under way in the next. ``run_now``, ``cancel`` and ``look_now`` raise ``Refused``
    with a sentence if it cannot be done at present; ``run_now`` returns the run's id, as does
    ``start_run``, which starts nothing new for a request key that was seen before; ``queued`` are runs that were
    asked for and have not begun. ``secret_key`` is the subkey
    for sessions, links and forms. ``serve_agent`` returns when the connection is over. ``only`` are the hosts that
    whoever asks may see, None for all; ``view`` and ``queued`` are narrowed to them already.
    """

    now: Clock
    view: Callable[[], FleetView]
    take: Take
    read: Ask
    read_in_step: Ask
    write: Ask
    run_now: Callable[[str, str], Awaitable[str]]
    start_run: Callable[[Wish, str, str | None], Awaitable[str]]
    queued: Callable[[], Mapping[str, RunStart]]
    cancel: Callable[[str, str], Awaitable[None]]
    look_now: Callable[[str], Awaitable[None]]
    progress: Callable[[], Mapping[str, Progress]]
    serve_agent: Callable[[Socket], Awaitable[None]]
    settings: Settings
    secret_key: bytes
    hub_fingerprint: str
    credentials: Credentials
    orders: Orders
    trials: Trials
    channels: Channels
    hosts: Hosts
    enrolment: Enrolment
    collectors: Collectors
    stacks: Stacks
    deploy_words: Words
    roles: Roles
    tokens: Tokens
    people: People
    only: frozenset[str] | None = None
    audit: Audit

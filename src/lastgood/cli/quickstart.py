"""What ``lastgood up`` does, step by step; each step can be repeated after any interruption.

Everything that may be wrong with the surroundings is asked before anything is started: address, folder, restic,
schedule, source, repository and password. Then hub, agent, a backup if there is none yet, and the word to stop.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

from lastgood.agent.enrolment import AgentConfig, make_key, write_config
from lastgood.agent.handshake import to_text
from lastgood.cli import running, upscreen
from lastgood.cli.hub import first_link
from lastgood.cli.options import load_settings
from lastgood.clock import now
from lastgood.config.settings import Settings
from lastgood.errors import ConfigError, LastgoodError
from lastgood.fleet import schedule
from lastgood.ids import ulid
from lastgood.logs import configure
from lastgood.model.job import Outcome, Run, Schedule
from lastgood.model.source import last_good
from lastgood.service.folder import Folder, make_sample, password_for, prepare
from lastgood.service.local import LocalPlan, Wish, plan
from lastgood.service.service import Service
from lastgood.store.accounts import list_users
from lastgood.store.history import find_run
from lastgood.tools.restic.address import check_address
from lastgood.tools.restic.command import Place
from lastgood.tools.restic.driver import Restic
from lastgood.tools.restic.redact import holds_secret
from lastgood.web.server import HubServer, listen_on

CONNECT_SECONDS = 20.0
AGENT_STOP_SECONDS = 4.0
GOOD = frozenset({Outcome.SUCCESS, Outcome.UNCHANGED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The options of the command."""

    source: Path | None
    every: str | None
    repository: str | None
    password_file: Path | None
    data_dir: Path
    listen: str | None
    once: bool
    config: Path | None
    debug: bool


def start(request: Request) -> int:
    """Run until told to stop; answers the exit code. Raises LastgoodError for what must be mended."""
    asked = None if request.every is None else Schedule(cron=request.every, zone=upscreen.local_zone())
    if asked is not None:
        schedule.check(asked)
    if request.source is not None and not request.source.exists():
        raise ConfigError(f"There is nothing at {request.source.absolute()}; name a folder or file with --source.")
    _check_repository(request)
    settings = _settings(request)
    if settings.server.tls_cert is not None:
        raise ConfigError(
            "lastgood up speaks plain HTTP on this machine, and the settings ask for TLS; use lastgood serve, or "
            "take server.tls_cert out."
        )
    configure("debug" if request.debug else "warning", settings.log.format)
    bound = listen_on(settings.server.listen)
    try:
        folder = prepare(request.data_dir)
        # realpath, since restic follows no link that is named as a source
        source = Path(os.path.realpath(request.source)) if request.source is not None else make_sample(folder)
        settings = _with_token(request, folder, settings)
        return running.run(_Quickstart(request, settings, folder, source, asked).main(bound))
    finally:
        bound.close()


def _check_repository(request: Request) -> None:
    if request.password_file is not None and request.repository is None:
        raise ConfigError("A --password-file belongs to a --repository; name that as well.")
    if request.password_file is not None and not request.password_file.is_file():
        raise ConfigError(f"There is no file {request.password_file.absolute()}; mend --password-file.")
    if request.repository is not None and holds_secret(request.repository):
        raise ConfigError(
            "The --repository address holds a password, which every process list would show; give it to the store's "
            "own configuration, or choose an address without one."
        )
    if request.repository is not None and ":" in request.repository:
        check_address(request.repository)


def _settings(request: Request, **more: object) -> Settings:
    options: dict[str, object] = {"server.data_dir": str(request.data_dir.absolute()), **more}
    if request.listen is not None:
        options["server.listen"] = request.listen
    return load_settings(request.config, options, aloud=not more).settings


def _with_token(request: Request, folder: Folder, settings: Settings) -> Settings:
    """The settings, with our own scrape token where the operator set no gate of any kind."""
    metrics = settings.metrics
    if metrics.token is not None or metrics.networks or not metrics.auth:
        return settings
    return _settings(request, **{"metrics.token": folder.metrics_token_file.read_text(encoding="utf-8").strip()})


class _Quickstart:
    def __init__(
        self, request: Request, settings: Settings, folder: Folder, source: Path, asked: Schedule | None
    ) -> None:
        self._request = request
        self._settings = settings
        self._folder = folder
        self._source = source
        self._asked = asked
        self._repository, self._password_file = _repository(request, folder)
        self._screen = upscreen.Screen()

    async def main(self, bound: socket.socket) -> int:
        stop = running.stop_event()
        restic = Restic(cache_dir=self._folder.agent / "cache", clock=now)
        await restic.version()
        async with running.running_hub(self._settings, bound) as (service, server):
            made = self._plan(service)
            await self._look(restic, service, made)
            if made.facts:
                await service.take(made.facts)
                await service.deeds.ordered_here(made.facts)
            agent = await self._start_agent(service, made)
            try:
                return await self._watch(service, server, made, agent, stop)
            finally:
                await _end(agent)

    def _plan(self, service: Service) -> LocalPlan:
        """This machine enrolled and the backup ordered, as far as that is still missing."""
        key = make_key(self._folder.agent / "agent.key")
        wish = Wish(
            host_name=socket.gethostname() or "localhost",
            agent_key=to_text(key.public_key),
            repository=self._repository,
            password_file=self._password_file,
            source=self._source,
            schedule=self._asked,
            zone=upscreen.local_zone(),
            own=self._request.repository is None,
        )
        return plan(service.fleet, wish, now(), lambda: ulid(now()))

    async def _look(self, restic: Restic, service: Service, made: LocalPlan) -> None:
        """Open the repository before anything is built on it; one that was there and is gone is never made anew.

        Before anything is told, too: a mistyped address would else be a source that fails every night.
        """
        place = Place(url=self._repository, password_file=self._password_file)
        found = await restic.probe(place)
        known = service.fleet.repository_evidence_of(made.repository_id).identity is not None
        if found.status == "missing" and known:
            raise ConfigError(
                f"The repository {self._repository} held backups and is gone; put it back, or start with a "
                "new --data-dir."
            )
        if found.status not in ("ready", "missing"):
            raise ConfigError(found.message)

    async def _start_agent(self, service: Service, made: LocalPlan) -> asyncio.subprocess.Process:
        config = self._folder.agent / "agent.toml"
        write_config(
            config,
            AgentConfig(
                hub_url=f"http://{self._settings.server.listen.reachable}",
                hub_key=to_text(service.keys.public_key),
                host_id=made.host_id,
                key_file="agent.key",
                data_dir=".",
            ),
        )
        level = "debug" if self._request.debug else "warning"
        command = [sys.executable, "-m", "lastgood", "agent", "run", "--config", str(config), "--log-level", level]
        # A session of its own: Ctrl-C is ours to pass on, so that restic is interrupted once and in order.
        return await asyncio.create_subprocess_exec(
            *command, "--die-with-parent", str(os.getpid()), stdin=asyncio.subprocess.DEVNULL, start_new_session=True
        )

    async def _watch(
        self,
        service: Service,
        server: HubServer,
        made: LocalPlan,
        agent: asyncio.subprocess.Process,
        stop: asyncio.Event,
    ) -> int:
        ended = {
            1: "The agent ended by itself; the lines above say why.",
            2: "The web server ended by itself.",
            3: "A part of the hub ended by itself; the lines above say why.",
        }
        first = _First()
        which = await running.first_of(
            stop.wait(), agent.wait(), server.ended(), service.broken(), self._back_up(service, made, first)
        )
        if which == 0:
            self._screen.say("Stopping.")
            return 130 if self._request.once else 0
        if which in ended:
            raise LastgoodError(ended[which])
        if self._request.once:
            return await self._seen(service, made, first)
        await self._show(service, made)
        which = await running.first_of(stop.wait(), agent.wait(), server.ended(), service.broken())
        if which != 0:
            raise LastgoodError(ended[which])
        self._screen.say("Stopping.")
        return 0

    async def _back_up(self, service: Service, made: LocalPlan, first: _First) -> None:
        """The first backup of this source, or any with ``--once``; shown while it runs. Raises if it failed."""
        source_id = made.source.id
        evidence = service.fleet.evidence_of(source_id)
        if last_good(made.source, evidence) is not None and not self._request.once:
            return
        self._screen.say(f"Backing up {made.source.paths[0]} with restic ...")
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await service.connected(made.host_id)
        except TimeoutError:
            raise LastgoodError(
                "The agent did not connect to the hub; run again with --debug to see what it says."
            ) from None
        run_id = await service.commands.run_now(source_id, "lastgood up")
        with self._screen.progress(service.roster.progress, run_id):
            await service.run_ended(run_id)
        found = await service.database.read(lambda connection: find_run(connection, run_id))
        run = found[0] if found is not None else None
        if not isinstance(run, Run) or run.outcome in (Outcome.FAILED, Outcome.LOST, Outcome.CANCELLED):
            reason = run.reason if isinstance(run, Run) else None
            raise LastgoodError(f"The backup did not succeed: {reason or 'no reason was given.'}")
        first.run = run
        self._screen.finished(run)

    async def _seen(self, service: Service, made: LocalPlan, first: _First) -> int:
        """With ``--once``: the backup must stand in our own metrics page."""
        if first.run is None or first.run.outcome not in GOOD:
            reason = first.run.reason if first.run is not None else None
            raise LastgoodError(f"The backup is not good: {reason or 'no reason was given.'}")
        page = await upscreen.scrape(str(self._settings.server.listen.reachable), self._settings.metrics.token)
        for line in upscreen.proof(page, made.host_id, made.source.id):
            self._screen.say(line)
        return 0

    async def _show(self, service: Service, made: LocalPlan) -> None:
        users = await service.database.read(list_users)
        link = None if users else await first_link(service)
        own_token = self._settings.metrics.token is not None and (
            self._settings.metrics.token.reveal()
            == self._folder.metrics_token_file.read_text(encoding="utf-8").strip()
        )
        self._screen.ready(
            url=str(self._settings.server.public_url),
            scrape_at=str(self._settings.server.listen.reachable),
            link=link,
            user_name=users[0].name if users else None,
            folder=self._folder,
            repository=self._repository if self._request.repository is not None else None,
            password_file=self._password_file,
            own_token=own_token,
            plan=made,
            started_with_sample=made.source.paths[0] == str(self._folder.sample),
        )


def _repository(request: Request, folder: Folder) -> tuple[str, Path]:
    """The repository's address and the file of its password."""
    if request.repository is None:
        return str(folder.repository), folder.password_file
    # A path without a scheme is a folder; the agent works elsewhere, so it must be absolute.
    url = request.repository if ":" in request.repository else str(Path(request.repository).absolute())
    if request.password_file is not None:
        return url, request.password_file.absolute()
    return url, password_for(folder, url)


@dataclass(slots=True)
class _First:
    """The backup that this start made, once it has ended."""

    run: Run | None = None


async def _end(agent: asyncio.subprocess.Process) -> None:
    """Tell the agent to stop; restic gets its interrupt from it."""
    if agent.returncode is None:
        agent.terminate()
        try:
            async with asyncio.timeout(AGENT_STOP_SECONDS):
                await agent.wait()
        except TimeoutError:
            agent.kill()
            await agent.wait()

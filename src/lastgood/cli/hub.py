"""``lastgood serve``: the hub."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lastgood.cli.options import ConfigFile, Debug, load_settings

if TYPE_CHECKING:
    from lastgood.service.service import Service

FIRST_LINK_FOR = timedelta(days=1)


def serve(
    config: ConfigFile = None,
    listen: Annotated[str | None, typer.Option("--listen", metavar="HOST:PORT", help="Where to listen.")] = None,
    data_dir: Annotated[Path | None, typer.Option("--data-dir", metavar="DIR", help="Where to keep data.")] = None,
    debug: Debug = False,
) -> None:
    """Run the hub in the foreground until it is told to stop (Ctrl-C or SIGTERM).

    Example: lastgood serve --config /etc/lastgood/lastgood.toml
    """
    from lastgood.cli import running
    from lastgood.logs import configure
    from lastgood.web.server import listen_on

    options: dict[str, object] = {}
    if listen is not None:
        options["server.listen"] = listen
    if data_dir is not None:
        options["server.data_dir"] = str(data_dir)
    settings = load_settings(config, options).settings
    configure("debug" if debug else settings.log.level, settings.log.format)
    bound = listen_on(settings.server.listen)

    async def main() -> int:
        stop = running.stop_event()
        async with running.running_hub(settings, bound) as (service, server):
            await _greet(service)
            ended = await running.first_of(stop.wait(), server.ended(), service.broken())
        return 1 if ended else 0

    raise typer.Exit(running.run(main()))


async def _greet(service: Service) -> None:
    """Log the address and, while nobody can sign in, a link for the first administrator."""
    import structlog

    from lastgood.store.accounts import count_users

    log = structlog.get_logger("lastgood.serve")
    server = service.settings.server
    log.info("listening", address=str(server.listen), url=str(server.public_url))
    if service.settings.metrics.public:
        log.warning("anybody who reaches the port may read /metrics, as metrics.auth = false says")
    if not await service.database.read(count_users):
        # The log is where an operator looks first; the link works once.
        link = await first_link(service)
        log.warning("nobody can sign in yet; open this link once to become administrator", link=link)


async def first_link(service: Service) -> str:
    """A one-time link for the first administrator."""
    from lastgood.model.audit import THE_HUB, Entry
    from lastgood.web.links import make_link
    from lastgood.web.wiring import web_key

    key, base, now = web_key(service.secret_key), str(service.settings.server.public_url), service.clock()
    link = await service.database.write(
        lambda connection: make_link(
            connection, key=key, base=base, user_name=None, now=now, lasts_for=FIRST_LINK_FOR
        )
    )
    await service.audit.note(Entry(action="user.reset", who=THE_HUB, details={"first": True}))
    return link

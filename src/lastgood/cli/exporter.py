"""``lastgood exporter pbs``, and ``pbs-exporter``: one kind of server collected and told, without a hub."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from lastgood.cli.options import Debug

app = typer.Typer(help="One collector alone, with its own /metrics: no hub, no database.", no_args_is_help=True)
alone = typer.Typer(
    name="pbs-exporter",
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

SWITCH_SECONDS = 0.001
"""After so long a thread that reads lists or writes rows gives way to the loop: a scrape takes several such turns."""

OLD_LIVES = (700, 10, 100_000)
"""What is known of a large server is hundreds of thousands of objects that stay: to look through all of them for
circles would hold the loop for a third of a second, again and again. The young are looked through as ever."""

State = Annotated[
    Path | None,
    typer.Option("--state", metavar="DIR", help="Folder in which counters survive a restart."),
]


@app.callback()
def _group() -> None:
    """One collector alone, with its own /metrics: no hub, no database."""


@alone.command()
@app.command("pbs")
def pbs(
    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE", help="Settings file, TOML or YAML: [pbs] and [exporter]."),
    ] = None,
    state: State = None,
    listen: Annotated[str | None, typer.Option("--listen", metavar="HOST:PORT", help="Where to listen.")] = None,
    debug: Debug = False,
) -> None:
    """Tell Prometheus of Proxmox Backup Servers, in the foreground, until Ctrl-C or SIGTERM.

    Settings come from PBS_EXPORTER__PBS__ENDPOINT, ..._TOKEN_ID, ..._TOKEN_SECRET and the like, or from a file.

    Example: pbs-exporter --config /etc/pbs-exporter.toml --state /var/lib/pbs-exporter
    """
    import structlog

    from lastgood.cli import foreground
    from lastgood.clock import now
    from lastgood.collect.pbs import PbsCollector
    from lastgood.config.exporter import load_exporter
    from lastgood.config.values import Listen, parse
    from lastgood.errors import ConfigError
    from lastgood.exporter.memory import state_folder
    from lastgood.exporter.pbs import pbs_exporter
    from lastgood.logs import configure
    from lastgood.web.server import listen_on

    settings = load_exporter(os.environ, config)
    address = settings.listen
    if listen is not None:
        try:
            address = parse(Listen, listen, textual=True)
        except ValueError as fault:
            raise ConfigError(f"--listen {fault}.") from None
    configure("debug" if debug else settings.log_level)
    log = structlog.get_logger("lastgood.exporter")
    for warning in settings.warnings:
        log.warning(warning)
    if state is None:
        log.info("counters begin anew with every start; --state DIR keeps them")
    else:
        state_folder(state)
    bound = listen_on(address)

    async def main() -> None:
        exporter = pbs_exporter(settings, state, now, PbsCollector)
        log.info("listening", address=str(address), servers=len(settings.servers.pbs))
        code = await exporter.serve(bound, foreground.stop_event())
        sys.stderr.flush()
        # All that is to be kept is kept; a thread that still reads a long list would hold the end up by seconds.
        os._exit(code)

    gc.freeze()
    gc.set_threshold(*OLD_LIVES)
    sys.setswitchinterval(SWITCH_SECONDS)
    foreground.run(main())

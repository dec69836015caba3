"""``lastgood up``: hub, agent, repository and a first real backup with one command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lastgood.cli.options import ConfigFile, Debug


def up(
    source: Annotated[
        Path | None,
        typer.Option(
            "--source", metavar="PATH", help="A folder or file of yours to protect; default: a small sample."
        ),
    ] = None,
    every: Annotated[
        str | None,
        typer.Option("--every", metavar="CRON", help='When to back it up, in local time; default: "0 2 * * *".'),
    ] = None,
    repository: Annotated[
        str | None,
        typer.Option(
            "--repository", metavar="ADDRESS", help="A restic repository elsewhere; default: one in the data folder."
        ),
    ] = None,
    password_file: Annotated[
        Path | None,
        typer.Option(
            "--password-file", metavar="FILE", help="The password of --repository; default: a generated one."
        ),
    ] = None,
    data_dir: Annotated[Path, typer.Option("--data-dir", metavar="DIR", help="Where everything is kept.")] = Path(
        "lastgood-data"
    ),
    listen: Annotated[
        str | None, typer.Option("--listen", metavar="HOST:PORT", help="Where to listen; default: 127.0.0.1:8080.")
    ] = None,
    once: Annotated[
        bool,
        typer.Option("--once", help="Back up now, see it in our own /metrics, and exit: 0 if it is good, else not."),
    ] = False,
    config: ConfigFile = None,
    debug: Debug = False,
) -> None:
    """Run a hub and an agent here, back something up, and show it. Ctrl-C ends both.

    Examples:

      lastgood up

      lastgood up --source /srv/photos --every "0 2 * * *"

      lastgood up --repository /mnt/other-disk/restic

      lastgood up --once
    """
    from lastgood.cli.quickstart import Request, start

    request = Request(
        source=source,
        every=every,
        repository=repository,
        password_file=password_file,
        data_dir=data_dir,
        listen=listen,
        once=once,
        config=config,
        debug=debug,
    )
    raise typer.Exit(start(request))

"""``lastgood agent``: the program on each host."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lastgood.cli.options import Debug

app = typer.Typer(help="The program on each host: runs backups and reports them.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """The program on each host: runs backups and reports them."""


@app.command("run")
def run(
    config: Annotated[
        Path, typer.Option("--config", metavar="FILE", help="The agent's own file, made when it was enrolled.")
    ] = Path("/etc/lastgood/agent.toml"),
    parent: Annotated[
        int | None, typer.Option("--die-with-parent", metavar="PID", help="End when this parent process ends.")
    ] = None,
    log_level: Annotated[str, typer.Option("--log-level", help="debug, info, warning or error.")] = "info",
    debug: Debug = False,
) -> None:
    """Run the agent in the foreground until it is told to stop.

    Example: lastgood agent run --config /etc/lastgood/agent.toml
    """
    from lastgood.agent.run import run_agent

    raise typer.Exit(run_agent(config, parent=parent, log_level="debug" if debug else log_level))

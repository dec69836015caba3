"""``lastgood agent``: the program on each host."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lastgood.cli.agent_alone import CONFIG, LOG_LEVEL
from lastgood.cli.options import Debug

app = typer.Typer(help="The program on each host: runs backups and reports them.", no_args_is_help=True)

DATA_DIR = Path("/var/lib/lastgood-agent")

ConfigPath = Annotated[
    Path, typer.Option("--config", metavar="FILE", help="The agent's own file, made when it was enrolled.")
]
NewConfigPath = Annotated[
    Path, typer.Option("--config", metavar="FILE", help="Where to write the agent's file; its key lies beside it.")
]
DataDir = Annotated[Path, typer.Option("--data-dir", metavar="DIR", help="Where the agent keeps its spool.")]
Name = Annotated[
    str | None, typer.Option("--name", metavar="NAME", help="What the host is called; default: the machine's name.")
]
CaFile = Annotated[
    Path | None,
    typer.Option(
        "--ca-file", metavar="FILE", help="Certificate (PEM) of your own authority, if it signed the hub's."
    ),
]
Insecure = Annotated[bool, typer.Option("--insecure", help="Go to a hub elsewhere over plain http. Not wise.")]
Url = Annotated[str, typer.Argument(metavar="URL", help="The hub's address, such as https://backup.example.")]


@app.callback()
def _group() -> None:
    """The program on each host: runs backups and reports them."""


@app.command("run")
def run(
    config: ConfigPath = CONFIG,
    parent: Annotated[
        int | None, typer.Option("--die-with-parent", metavar="PID", help="End when this parent process ends.")
    ] = None,
    log_level: Annotated[str, typer.Option("--log-level", help="debug, info, warning or error.")] = LOG_LEVEL,
    debug: Debug = False,
) -> None:
    """Run the agent in the foreground until it is told to stop.

    Example: lastgood agent run --config /etc/lastgood/agent.toml
    """
    from lastgood.agent.run import run_agent

    raise typer.Exit(run_agent(config, parent=parent, log_level="debug" if debug else log_level))


@app.command("enrol")
def enrol(
    url: Url,
    code: Annotated[str, typer.Argument(metavar="CODE", help="What lastgood enrol-code create printed.")],
    name: Name = None,
    config: NewConfigPath = CONFIG,
    data_dir: DataDir = DATA_DIR,
    ca_file: CaFile = None,
    insecure: Insecure = False,
    debug: Debug = False,
) -> None:
    """Make this machine a host of a hub, with an enrolment code.

    Example: lastgood agent enrol https://backup.example lg_enrol_...
    """
    from lastgood.agent import joining
    from lastgood.cli.joined import join_of, tell_joined

    join = join_of(url, config, data_dir, name=name, ca_file=ca_file, insecure=insecure)
    made = joining.with_code(join, code, joining.prepare(join))
    tell_joined(join, made.name, made.host_id, made.hub_key)


@app.command("announce")
def announce(
    url: Url,
    name: Name = None,
    config: NewConfigPath = CONFIG,
    data_dir: DataDir = DATA_DIR,
    ca_file: CaFile = None,
    insecure: Insecure = False,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Announce and return; the same command later asks again.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Ask a hub to let this machine in, and wait for its word.

    Somebody there compares the fingerprints that both sides show, and approves or rejects it.

    Example: lastgood agent announce https://backup.example
    """
    from lastgood.cli.joined import announce_until_decided, join_of

    join = join_of(url, config, data_dir, name=name, ca_file=ca_file, insecure=insecure)
    announce_until_decided(join, wait=not no_wait)


@app.command("status")
def status(
    config: ConfigPath = CONFIG,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    debug: Debug = False,
) -> None:
    """Show what this machine's agent knows without its hub.

    That is: its connection, how many reports wait, its orders with their next moments, and the runs under way.

    Example: lastgood agent status --json
    """
    from lastgood.agent.enrolment import read_config
    from lastgood.agent.status import look
    from lastgood.cli.joined import tell_status
    from lastgood.clock import now

    tell_status(look(read_config(config), now()), now(), as_json=as_json)


@app.command("install")
def install(
    config: ConfigPath = CONFIG,
    user: Annotated[
        str, typer.Option("--user", metavar="USER", help="The system user that the agent runs as.")
    ] = "lastgood-agent",
    print_only: Annotated[bool, typer.Option("--print", help="Print the unit and write nothing.")] = False,
    debug: Debug = False,
) -> None:
    """Make the agent a systemd service of this machine.

    It runs as a user of its own, with one right of root: to read every file.

    Example: lastgood agent install --print
    """
    from lastgood.cli.joined import install_unit

    install_unit(config, user, print_only=print_only)


@app.command("rotate-key")
def rotate_key(config: ConfigPath = CONFIG, debug: Debug = False) -> None:
    """Give the agent a new key; the old one ends.

    A running agent takes it up by itself. Run this as the owner of the key file.

    Example: lastgood agent rotate-key
    """
    from lastgood.agent.enrolment import read_config
    from lastgood.agent.rotate import rotate

    new = rotate(read_config(config))
    typer.echo(f"The agent's key is now {new.fingerprint}; the old one is worth nothing any more.")

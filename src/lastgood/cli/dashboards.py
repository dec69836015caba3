"""What lastgood brings for Grafana: the dashboards, as files to import or to provision."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from lastgood.errors import ConfigError

Folder = Annotated[Path, typer.Option("--dir", metavar="DIR", help="Where to write them; made if it is missing.")]


def dashboards(folder: Folder = Path()) -> None:
    """Write the Grafana dashboards as JSON files, over older ones of the same name.

    Example: lastgood dashboards --dir /var/lib/grafana/dashboards
    """
    for brought in sorted(files("lastgood").joinpath("assets/grafana").iterdir(), key=lambda entry: entry.name):
        target = folder / brought.name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            target.write_bytes(brought.read_bytes())
        except OSError as error:
            message = f"The dashboard {target} cannot be written ({error.strerror}); name another folder with --dir."
            raise ConfigError(message) from error
        typer.echo(target)

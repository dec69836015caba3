"""What lastgood brings for Prometheus: recording and alerting rules."""

from __future__ import annotations

from importlib.resources import files

import typer


def rules() -> None:
    """Print recording and alerting rules for Prometheus, as a rule file.

    Example: lastgood rules > /etc/prometheus/rules/backup.yml
    """
    typer.echo(files("lastgood").joinpath("assets/prometheus/backup.yml").read_text(), nl=False)

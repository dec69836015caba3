"""What lastgood brings for Prometheus: recording and alerting rules, one file a subject."""

from __future__ import annotations

from importlib.resources import files
from typing import Annotated

import typer

from lastgood.errors import ConfigError

SUFFIX = ".yml"
HEAD = "\ngroups:\n"
"""What every file has once, after its comment."""

Names = Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Of these subjects only; else of all.")]


def rules(names: Names = None) -> None:
    """Print recording and alerting rules for Prometheus, as one rule file.

    Example: lastgood rules > /etc/prometheus/rules/lastgood.yml
    """
    brought = {
        entry.name.removesuffix(SUFFIX): entry.read_text()
        for entry in sorted(files("lastgood").joinpath("assets/prometheus").iterdir(), key=lambda entry: entry.name)
        if entry.name.endswith(SUFFIX)
    }
    for name in names or ():
        if name not in brought:
            raise ConfigError(f"There are no rules called {name}; say one of {', '.join(brought)}.")
    typer.echo(one_file([brought[name] for name in dict.fromkeys(names or brought)]), nl=False)


def one_file(texts: list[str]) -> str:
    """Rule files as one: ``groups`` may stand there but once."""
    first, *others = texts
    return "\n".join([first, *(other.replace(HEAD, "", 1) for other in others)])

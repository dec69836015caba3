"""What every command that reads settings shares: the options, and loading with its warnings on the terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from lastgood.config.load import Loaded, load

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Settings file, TOML or YAML."),
]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks and debug log lines.")]


def load_settings(config: Path | None, options: Mapping[str, object] | None = None, *, aloud: bool = True) -> Loaded:
    """The settings of this process, warnings told on standard error if ``aloud``. Raises ConfigError."""
    loaded = load(os.environ, argv_config_path=str(config) if config else None, options=options)
    for warning in loaded.warnings if aloud else ():
        print(f"lastgood: warning: {warning}", file=sys.stderr)  # noqa: T201 - this is the terminal
    return loaded

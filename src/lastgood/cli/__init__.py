"""The command line: one file a command group, and the one place where errors become sentences and exit codes.

Exit codes: 0 well, 1 it failed, 2 wrong usage, 78 the configuration or the surroundings must be mended. Modules of a
command are imported when it runs, so ``lastgood version`` does not pay for a web server.
"""

from __future__ import annotations

import gc
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from typer import Typer

EXIT_CONFIG = 78
OBJECTS_BETWEEN_COLLECTIONS = 50_000
"""What an import makes stays; looking through it again and again would make each start a tenth slower."""


def main() -> None:
    """Run the command named on the command line and exit with its code."""
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
    from lastgood.cli import agent_alone

    if (told := agent_alone.told(sys.argv[1:])) is not None:
        from lastgood.agent.run import run_agent

        _spoken(lambda: sys.exit(run_agent(**told)))
        return
    from lastgood.cli.app import app

    run_tree(app)


def pbs_exporter() -> None:
    """``pbs-exporter``: the one command, by the name that its users know."""
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
    from lastgood.cli.exporter import alone

    run_tree(alone)


def run_tree(app: Typer) -> None:
    """Run a tree of commands; errors become sentences and exit codes."""
    _spoken(lambda: app(standalone_mode=True))


def _spoken(run: Callable[[], object]) -> None:
    from lastgood.errors import ConfigError, LastgoodError

    try:
        run()
    except LastgoodError as error:
        if "--debug" in sys.argv or os.environ.get("LASTGOOD_DEBUG"):
            raise
        print(f"lastgood: {error}", file=sys.stderr)  # noqa: T201 - this is the terminal
        sys.exit(EXIT_CONFIG if isinstance(error, ConfigError) else 1)

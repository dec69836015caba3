"""What list commands print: a table for people, JSON for programs.

The one rule: what came from outside is printed as text, never as markup or as words for the terminal.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import typer

PIPE_WIDTH = 240

# A moment as the hub tells it; people need no parts of a second.
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.\d+Z")


def show(rows: Iterable[dict[str, Any]], columns: Sequence[tuple[str, str]], *, as_json: bool, nothing: str) -> None:
    """Print the rows; ``columns`` are (heading, key). ``nothing`` is said on standard error if there is no row."""
    found = list(rows)
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
        return
    if not found:
        typer.echo(nothing, err=True)
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*(heading for heading, _ in columns), box=None, pad_edge=False, highlight=False)
    for row in found:
        table.add_row(*(Text(text(row.get(key))) for _, key in columns))
    # A pipe has no width: nothing may be cut off there.
    Console(width=None if sys.stdout.isatty() else PIPE_WIDTH).print(table)


def text(value: Any) -> str:
    """A value as people read it; unknown is a dash, and nothing of it moves the cursor."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(text(one) for one in value) or "-"
    if isinstance(value, float):
        return f"{value:,.1f}"
    if isinstance(value, str) and (told := _MOMENT.fullmatch(value)):
        return f"{told[1]}Z"
    return "".join(character if character.isprintable() else "\ufffd" for character in str(value))

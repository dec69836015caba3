"""What is due within a day, or was."""

from __future__ import annotations

from scripts.dashboards.chosen import BY_SOURCE, minded, of_source
from scripts.dashboards.parts import AMBER, prop
from scripts.dashboards.table import Column, coloured_text, mapped, relative, table, thresholds, wide


def due() -> object:
    soon = minded(f"({of_source('backup_due_timestamp_seconds')} - time() < 86400)")
    return table(
        "Due today",
        "Sources whose next good backup is due within 24 hours, or was due (ago), the longest overdue first.",
        [
            Column(
                "Due in",
                f"{BY_SOURCE} ({soon})",
                looks=(*relative(), thresholds(AMBER, (0, "text")), coloured_text()),
            ),
            Column("Host", label="host"),
            Column("Source", label="name"),
            Column("Tool", label="tool"),
            Column("Repository", label="repository"),
            Column(
                "Runs now",
                f"{BY_SOURCE} ({of_source('backup_source_running')} and {soon})",
                looks=(mapped({"1": ("running", "blue"), "0": ("", "text")}), coloured_text(), wide(90)),
            ),
            Column(
                "Took last time",
                f"{BY_SOURCE} ({of_source('backup_last_duration_seconds')} and {soon})",
                looks=(prop("unit", "s"), prop("decimals", 0)),
            ),
        ],
        "Due in",
        empty="Nothing is due within 24 hours, or nothing is scraped.",
    )

"""Size and growth: of repositories, of what backups added, and how long backups took."""

from __future__ import annotations

from grafana_foundation_sdk.builders import timeseries
from grafana_foundation_sdk.models import common
from scripts.dashboards.chosen import BY_REPOSITORY, NAMED, of_repository, of_source
from scripts.dashboards.parts import (
    AMBER,
    GREEN,
    RED,
    by_palette,
    every_series,
    legend_list,
    legend_table,
    over_time,
    prop,
)
from scripts.dashboards.table import Column, coloured_text, in_bytes, mapped, table, thresholds, wide

NO_HOST = "The choice of hosts does not narrow it, since a repository belongs to no host."


def _lines(panel: timeseries.Panel) -> timeseries.Panel:
    panel = panel.color_scheme(by_palette()).line_width(2).fill_opacity(8)
    return panel.show_points(common.VisibilityMode.NEVER).tooltip(every_series())


def repositories() -> timeseries.Panel:
    panel = timeseries.Panel().title("Repository size").no_value("No repository's size is known.")
    panel = panel.description(f"What each repository stores. {NO_HOST}")
    panel = panel.targets([over_time(of_repository("backup_repository_size_bytes"), "A", "{{repository}}")])
    return _lines(panel.unit("bytes").axis_soft_min(0)).legend(legend_table("lastNotNull", "diff"))


def added() -> timeseries.Panel:
    panel = timeseries.Panel().title("Added by last good backups").no_value("No backup told what it added.")
    panel = panel.description(
        "How much the last good backup of each source added, the ten that add most. A sudden rise may be a new disk, "
        "or files that somebody encrypted."
    )
    panel = panel.targets([over_time(f"topk(10, {of_source('backup_last_added_bytes')})", "A", NAMED)])
    panel = panel.line_interpolation(common.LineInterpolation.STEP_AFTER)
    return _lines(panel.unit("bytes").axis_soft_min(0)).legend(legend_list())


def filling() -> object:
    size = of_repository("backup_repository_size_bytes")
    weekly = f"{size}[7d]"
    return table(
        "Repositories filling",
        "How fast each repository grows, by its last seven days, and what it would hold in 30 days at that "
        f"rate; the fastest first. {NO_HOST}",
        [
            Column("Repository", label="repository"),
            Column("Tool", label="tool", looks=(wide(80),)),
            Column("Size", f"{BY_REPOSITORY} ({size})", looks=in_bytes()),
            Column("Growth a day", f"{BY_REPOSITORY} (deriv({weekly}) * 86400)", looks=in_bytes()),
            Column(
                "Growth a month",
                f"{BY_REPOSITORY} (deriv({weekly}) * 2592000 / {size})",
                looks=(
                    prop("unit", "percentunit"),
                    prop("decimals", 0),
                    thresholds("text", (0.5, AMBER), (1, RED)),
                    coloured_text(),
                ),
            ),
            Column("In 30 days", f"{BY_REPOSITORY} (predict_linear({weekly}, 2592000))", looks=in_bytes()),
            Column("Locks", f"{BY_REPOSITORY} ({of_repository('backup_repository_locks')})", looks=(wide(70),)),
            Column(
                "Answers",
                f"{BY_REPOSITORY} ({of_repository('backup_repository_up')})",
                looks=(mapped({"1": ("yes", GREEN), "0": ("no", RED)}), coloured_text(), wide(90)),
            ),
        ],
        "Growth a day",
        descending=True,
        empty="No repository's size is known.",
    )


def durations() -> timeseries.Panel:
    panel = timeseries.Panel().title("How long last good backups took").no_value("No backup told how long it took.")
    panel = panel.description("The ten sources whose last good backup took longest.")
    panel = panel.targets([over_time(f"topk(10, {of_source('backup_last_duration_seconds')})", "A", NAMED)])
    panel = panel.line_interpolation(common.LineInterpolation.STEP_AFTER)
    return _lines(panel.unit("s").min(0)).legend(legend_list())

"""The verdict: counts by state, what is not good, and who is furthest past the target."""

from __future__ import annotations

from grafana_foundation_sdk.builders import bargauge, stat, timeseries
from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.models import common
from scripts.dashboards.chosen import BAD, BY_SOURCE, NAMED, in_state, minded, of_source, or_zero, past_target
from scripts.dashboards.parts import (
    AGO,
    AMBER,
    GREEN,
    RED,
    STATE_COLOURS,
    by_threshold,
    every_series,
    fixed,
    legend_list,
    newest,
    now,
    over_time,
    prop,
    steps,
)
from scripts.dashboards.table import Column, coloured_text, hidden, relative, state_words, table, thresholds

IS_BAD = f'state=~"{"|".join(BAD)}"'


def oldest() -> stat.Panel:
    panel = stat.Panel().title("Oldest last good backup").no_value("no good backup is known")
    panel = panel.description(
        "Everything that ever had a good backup has one at least this new. Sources that never had one are counted "
        "beside it, under never and new; "
        "paused and archived ones are left out."
    )
    panel = panel.targets([now(f"min({minded(of_source('backup_last_good_timestamp_seconds'))}) - time()")])
    panel = panel.unit(AGO).decimals(1).thresholds(steps("text")).color_scheme(by_threshold())
    panel = panel.reduce_options(newest()).graph_mode(common.BigValueGraphMode.NONE)
    return panel.text_mode(common.BigValueTextMode.VALUE).color_mode(common.BigValueColorMode.VALUE)


def by_state() -> stat.Panel:
    known = f"count({of_source('backup_source_info')})"
    panel = stat.Panel().title("Sources by state").no_value("nothing is known")
    panel = panel.description("How many sources stand how, worst first. Each source is in exactly one state.")
    panel = panel.targets(
        [
            now(or_zero(f"count({in_state(state)})", known), ref, state)
            for ref, state in zip("ABCDEFGHIJ", STATE_COLOURS, strict=True)
        ]
    )
    panel = panel.unit("short").decimals(0).color_scheme(by_threshold()).thresholds(steps("text"))
    for state, colour in STATE_COLOURS.items():
        panel = panel.override_by_name(state, [prop("thresholds", steps("text", (1, colour)).build())])
    panel = panel.reduce_options(newest()).graph_mode(common.BigValueGraphMode.NONE)
    panel = panel.text_mode(common.BigValueTextMode.VALUE_AND_NAME).color_mode(common.BigValueColorMode.VALUE)
    return panel.orientation(common.VizOrientation.VERTICAL).justify_mode(common.BigValueJustifyMode.CENTER)


def not_good() -> object:
    bad = of_source("backup_source_state", IS_BAD)
    ranked = " or ".join(f"{in_state(state)} * {len(BAD) - index}" for index, state in enumerate(BAD))
    age = f"{of_source('backup_last_good_timestamp_seconds')} - time()"
    due = f"{of_source('backup_due_timestamp_seconds')} - time()"
    attempt = f"{of_source('backup_last_attempt_timestamp_seconds')} - time()"
    return table(
        "Not good",
        "Every source that is not good, worst first: failed, never, missed, unknown, partial, late.",
        [
            # Queried first: its rank sorts the rows.
            Column("Rank", f"max by (source, host, name, tool, repository, state) ({ranked})", looks=(hidden(),)),
            Column("State", label="state", looks=state_words()),
            Column("Host", label="host"),
            Column("Source", label="name"),
            Column("Tool", label="tool"),
            Column("Repository", label="repository"),
            Column("Last good", f"{BY_SOURCE} (({age}) and ignoring (state) {bad})", looks=relative()),
            Column("Last attempt", f"{BY_SOURCE} (({attempt}) and ignoring (state) {bad})", looks=relative()),
            Column(
                "Due",
                f"{BY_SOURCE} (({due}) and ignoring (state) {bad})",
                looks=(*relative(), thresholds(RED, (0, "text")), coloured_text()),
            ),
        ],
        "Rank",
        descending=True,
        empty="Every source is good, or nothing is scraped.",
    )


def furthest_past() -> bargauge.Panel:
    panel = (
        bargauge.Panel()
        .title("Furthest past their target")
        .no_value("No source has both a target and a good backup.")
    )
    panel = panel.description(
        "Age of the last good backup as a share of how old it may become. At 100 % the next one is due; grace "
        "comes on top. Sources without a good backup are not here but under never or new."
    )
    panel = panel.targets([now(f"topk(12, {past_target()})", "A", NAMED)]).unit("percentunit").decimals(0)
    panel = panel.min(0).max(2).thresholds(steps(GREEN, (1, AMBER), (1.25, RED))).color_scheme(by_threshold())
    return _bars(panel)


def _bars(panel: bargauge.Panel) -> bargauge.Panel:
    panel = panel.orientation(common.VizOrientation.HORIZONTAL).display_mode(common.BarGaugeDisplayMode.BASIC)
    panel = panel.name_placement(common.BarGaugeNamePlacement.LEFT).value_mode(common.BarGaugeValueMode.TEXT)
    return panel.reduce_options(newest()).show_unfilled(True)


def over_time_by_state() -> timeseries.Panel:
    panel = timeseries.Panel().title("States over time").no_value("nothing is known")
    panel = panel.description("How many sources stood how. A gap means that nothing was scraped.")
    panel = panel.targets([over_time(f"count by (state) ({of_source('backup_source_state')})", "A", "{{state}}")])
    panel = panel.unit("short").decimals(0).min(0).line_width(1).fill_opacity(60)
    panel = panel.line_interpolation(common.LineInterpolation.STEP_AFTER).show_points(common.VisibilityMode.NEVER)
    panel = panel.stacking(common_builders.StackingConfig().mode(common.StackingMode.NORMAL).group("A"))
    for state, colour in STATE_COLOURS.items():
        panel = panel.override_by_name(state, [fixed(colour)])
    return panel.legend(legend_list()).tooltip(every_series())

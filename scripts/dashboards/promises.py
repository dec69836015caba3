"""Kept promises: of the backups that the schedules asked for, how many were good in time."""

from __future__ import annotations

from grafana_foundation_sdk.builders import bargauge, stat, timeseries
from grafana_foundation_sdk.models import common
from scripts.dashboards.chosen import NAMED, of_source
from scripts.dashboards.parts import (
    AMBER,
    GREEN,
    RED,
    by_palette,
    by_threshold,
    every_series,
    legend_list,
    newest,
    now,
    over_time,
    steps,
    when_nan,
)

KEPT = steps(RED, (0.95, AMBER), (0.99, GREEN))
LATE_NEWS = "A backup that turns out to be good later counts when that is learned, so a share is cut off at 100 %."


def _good(window: str) -> str:
    return f"increase({of_source('backup_good_runs_total')}[{window}])"


def _expected(window: str) -> str:
    return f"increase({of_source('backup_expected_runs_total')}[{window}])"


def kept() -> stat.Panel:
    panel = stat.Panel().title("Good of expected").no_value("nothing is known")
    panel = panel.description(f"Good backups out of those that were expected in the range shown. {LATE_NEWS}")
    good, expected = _good("$__range"), _expected("$__range")
    panel = panel.targets([now(f"clamp_max(sum({good}) / sum({expected}), 1)")])
    panel = panel.unit("percentunit").decimals(1).thresholds(KEPT).color_scheme(by_threshold())
    panel = panel.mappings([when_nan("none was expected")]).reduce_options(newest())
    panel = panel.graph_mode(common.BigValueGraphMode.NONE).text_mode(common.BigValueTextMode.VALUE)
    return panel.color_mode(common.BigValueColorMode.BACKGROUND)


def by_tool() -> timeseries.Panel:
    good, expected = _good("1d"), _expected("1d")
    panel = timeseries.Panel().title("Good of expected, by tool").no_value("No backup was expected.")
    panel = panel.description(f"The same over the day before each point. {LATE_NEWS}")
    panel = panel.targets(
        [over_time(f"clamp_max(sum by (tool) ({good}) / (sum by (tool) ({expected}) > 0), 1)", "A", "{{tool}}")]
    )
    panel = panel.unit("percentunit").decimals(1).min(0).max(1).color_scheme(by_palette()).line_width(2)
    panel = panel.fill_opacity(8).show_points(common.VisibilityMode.NEVER)
    return panel.legend(legend_list()).tooltip(every_series())


def least_kept() -> bargauge.Panel:
    good, expected = _good("$__range"), _expected("$__range")
    panel = bargauge.Panel().title("Least kept").no_value("No backup was expected.")
    panel = panel.description(f"The twelve sources with the smallest share in the range shown. {LATE_NEWS}")
    panel = panel.targets([now(f"bottomk(12, clamp_max({good} / ({expected} > 0), 1))", "A", NAMED)])
    panel = panel.unit("percentunit").decimals(0).min(0).max(1).thresholds(KEPT).color_scheme(by_threshold())
    panel = panel.orientation(common.VizOrientation.HORIZONTAL).display_mode(common.BarGaugeDisplayMode.BASIC)
    panel = panel.name_placement(common.BarGaugeNamePlacement.LEFT).value_mode(common.BarGaugeValueMode.TEXT)
    return panel.reduce_options(newest()).show_unfilled(True)

"""Hosts with their stacks and containers: how they stand now, and how they stood."""

from __future__ import annotations

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import stat, timeseries
from grafana_foundation_sdk.models import common
from scripts.dashboards.chosen import or_zero
from scripts.dashboards.parts import (
    AMBER,
    BLUE,
    GREEN,
    GREY,
    PURPLE,
    RED,
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
from scripts.dashboards.table import Column, coloured_text, table, thresholds

HOSTS = 'host=~"$host"'
BY_HOST = "max by (host)"
STATUS_COLOURS = {"offline": RED, "degraded": AMBER, "online": GREEN}
STACK_COLOURS = {
    "error": RED,
    "unknown": PURPLE,
    "partial": AMBER,
    "paused": BLUE,
    "stopped": GREY,
    "running": GREEN,
}
"""The worst first."""

CONTAINER_COLOURS = {
    "dead": RED,
    "restarting": RED,
    "removing": AMBER,
    "created": BLUE,
    "paused": BLUE,
    "exited": GREY,
    "running": GREEN,
}


def of_host(family: str, *more: str) -> str:
    """A family of hosts as the variable narrows it."""
    return f"{family}{{{', '.join((HOSTS, *more))}}}"


def _counts(panel: stat.Panel, colours: dict[str, str], well: str) -> stat.Panel:
    panel = panel.unit("short").decimals(0).color_scheme(by_threshold()).thresholds(steps("text"))
    for name, colour in colours.items():
        bounds = steps("text", (1, colour)) if name != well else steps("text", (1, GREEN))
        panel = panel.override_by_name(name, [prop("thresholds", bounds.build())])
    panel = panel.reduce_options(newest()).graph_mode(common.BigValueGraphMode.NONE)
    panel = panel.text_mode(common.BigValueTextMode.VALUE_AND_NAME).color_mode(common.BigValueColorMode.VALUE)
    return panel.orientation(common.VizOrientation.VERTICAL).justify_mode(common.BigValueJustifyMode.CENTER)


def by_status() -> stat.Panel:
    panel = stat.Panel().title("Hosts by status").no_value("not scraped")
    panel = panel.description(
        "All hosts, whichever are chosen. Degraded ones are connected, but a container engine does not answer, a "
        "clock is off by more than a minute, or an agent refuses a part of its orders."
    )
    targets = [
        now(f'sum(dockmesh_hosts_total{{status="{status}"}})', ref, status)
        for ref, status in zip("ABC", STATUS_COLOURS, strict=True)
    ]
    return _counts(panel.targets(targets), STATUS_COLOURS, "online")


def stacks() -> stat.Panel:
    known = f"sum({of_host('dockmesh_stacks_total')})"
    panel = stat.Panel().title("Stacks by state").no_value("no stack is known")
    panel = panel.description("How many stacks stand how, worst first. Unknown: the engine cannot be asked.")
    targets = []
    for ref, state in zip("ABCDEF", STACK_COLOURS, strict=True):
        told = of_host("dockmesh_stacks_total", f'state="{state}"')
        targets.append(now(or_zero(f"sum({told})", known), ref, state))
    return _counts(panel.targets(targets), STACK_COLOURS, "running")


def uncovered() -> stat.Panel:
    panel = stat.Panel().title("Data without a backup").no_value("no engine is known")
    panel = panel.description(
        "Volumes and folders of containers of which no backup is known and that nobody excluded."
    )
    panel = panel.targets([now(f"sum({of_host('backup_uncovered_sources')})")]).unit("short").decimals(0)
    panel = panel.thresholds(steps(GREEN, (1, RED))).color_scheme(by_threshold())
    panel = panel.reduce_options(newest()).graph_mode(common.BigValueGraphMode.NONE)
    return panel.text_mode(common.BigValueTextMode.VALUE).color_mode(common.BigValueColorMode.VALUE)


def table_of_hosts() -> object:
    seen = of_host("dockmesh_agent_last_seen_seconds")
    whole = (prop("unit", "short"), prop("decimals", 0))
    error = of_host("dockmesh_stacks_total", 'state="error"')
    running = of_host("dockmesh_containers_total", 'state="running"')
    unwell = of_host("dockmesh_containers_total", 'state=~"dead|restarting"')
    return table(
        "Hosts",
        "One row a host whose agent was ever heard, the longest silent first. Containers are those that were seen "
        "last. A dash means that nothing is known, as of hosts without a container engine.",
        [
            Column("Host", label="host"),
            Column(
                "Last heartbeat",
                # Below zero, so that Grafana says "ago".
                f"-{BY_HOST} ({seen})",
                looks=(
                    prop("unit", "dtdurations"),
                    prop("decimals", 1),
                    thresholds(RED, (-120, "text")),
                    coloured_text(),
                ),
            ),
            Column("Stacks", f"sum by (host) ({of_host('dockmesh_stacks_total')})", looks=whole),
            Column(
                "In error",
                f"sum by (host) ({error}) or 0 * sum by (host) ({of_host('dockmesh_stacks_total')})",
                looks=(*whole, thresholds("text", (1, RED)), coloured_text()),
            ),
            Column("Containers", f"sum by (host) ({of_host('dockmesh_containers_total')})", looks=whole),
            Column(
                "Running",
                f"sum by (host) ({running})",
                looks=whole,
            ),
            Column(
                "Dead or restarting",
                f"sum by (host) ({unwell})",
                looks=(*whole, thresholds("text", (1, RED)), coloured_text()),
            ),
            Column(
                "Without a backup",
                f"{BY_HOST} ({of_host('backup_uncovered_sources')})",
                looks=(*whole, thresholds("text", (1, AMBER)), coloured_text()),
            ),
        ],
        "Last heartbeat",
        empty="No agent was ever heard, or nothing is scraped.",
    )


def stacks_over_time() -> timeseries.Panel:
    panel = timeseries.Panel().title("Stacks over time").no_value("no stack is known")
    panel = panel.description("How many stacks stood how. A gap means that nothing was scraped.")
    return _stacked(panel, f"sum by (state) ({of_host('dockmesh_stacks_total')})", STACK_COLOURS)


def containers_over_time() -> timeseries.Panel:
    panel = timeseries.Panel().title("Containers over time").no_value("no container is known")
    panel = panel.description("Containers by the engine's own state, as they were seen last.")
    return _stacked(panel, f"sum by (state) ({of_host('dockmesh_containers_total')})", CONTAINER_COLOURS)


def _stacked(panel: timeseries.Panel, expr: str, colours: dict[str, str]) -> timeseries.Panel:
    panel = panel.targets([over_time(expr, "A", "{{state}}")])
    panel = panel.unit("short").decimals(0).min(0).line_width(1).fill_opacity(60)
    panel = panel.line_interpolation(common.LineInterpolation.STEP_AFTER).show_points(common.VisibilityMode.NEVER)
    panel = panel.stacking(common_builders.StackingConfig().mode(common.StackingMode.NORMAL).group("A"))
    for state, colour in colours.items():
        panel = panel.override_by_name(state, [fixed(colour)])
    return panel.legend(legend_list()).tooltip(every_series())

"""Servers, and how they are collected from: up or off on purpose, probes, grants, certificates, what is left out."""

from __future__ import annotations

from grafana_foundation_sdk.builders import stat, timeseries
from grafana_foundation_sdk.models import common
from scripts.dashboards.parts import (
    AMBER,
    GREEN,
    GREY,
    RED,
    by_palette,
    by_threshold,
    every_series,
    legend_list,
    newest,
    now,
    over_time,
    prop,
    steps,
)
from scripts.dashboards.pbs.named import by_server, of_server, off, or_zero
from scripts.dashboards.table import Column, coloured_cell, coloured_text, mapped, relative, table, thresholds, wide

UP = of_server("pbs_up")
DAY = 86_400


def counts() -> stat.Panel:
    told = {
        "up": (f"count({UP} == 1)", GREEN),
        "down": (f"count(({UP} == 0) unless ({of_server('pbs_expected_off')} == 1))", RED),
        "off on purpose": (f"count({off()})", GREY),
    }
    panel = stat.Panel().title("Servers").no_value("nothing is known")
    panel = panel.description(
        "Servers that answer, that do not, and that do not but are off on purpose at times, as configured."
    )
    panel = panel.targets(
        [now(or_zero(expr, UP), ref, word) for ref, (word, (expr, _)) in zip("ABC", told.items(), strict=True)]
    )
    panel = panel.unit("short").decimals(0).color_scheme(by_threshold()).thresholds(steps("text"))
    for word, (_, colour) in told.items():
        panel = panel.override_by_name(word, [prop("thresholds", steps("text", (1, colour)).build())])
    panel = panel.reduce_options(newest()).graph_mode(common.BigValueGraphMode.NONE)
    panel = panel.text_mode(common.BigValueTextMode.VALUE_AND_NAME).color_mode(common.BigValueColorMode.VALUE)
    return panel.orientation(common.VizOrientation.VERTICAL)


def servers() -> object:
    state = f"2 + 0 * {off()} or {UP}"
    amber = (prop("decimals", 0), thresholds("text", (1, AMBER)), coloured_text())
    return table(
        "Servers, as they are asked",
        "Whether each server answers, by which certificate, and what the token does not see. A server without a name "
        "is called by the address that Prometheus scrapes.",
        [
            Column(
                "State",
                by_server(state),
                looks=(
                    mapped({"0": ("down", RED), "1": ("up", GREEN), "2": ("off on purpose", GREY)}),
                    coloured_cell(),
                    wide(120),
                ),
            ),
            Column("Server", label="server"),
            Column("Answered", by_server(f"{of_server('pbs_reached_timestamp_seconds')} - time()"), looks=relative()),
            Column(
                "Certificate",
                by_server(of_server("pbs_tls_verified")),
                looks=(mapped({"1": ("checked", "text"), "0": ("any is taken", AMBER)}), coloured_text()),
            ),
            Column(
                "Expires in",
                by_server(f"{of_server('pbs_certificate_expiry_timestamp_seconds')} - time()"),
                looks=(*relative(), thresholds(RED, (7 * DAY, AMBER), (21 * DAY, "text")), coloured_text()),
            ),
            Column("Missing grants", by_server(of_server("pbs_permissions_missing")), looks=amber),
            Column("Groups to be listed", by_server(of_server("pbs_pending_groups")), looks=amber),
            Column("Snapshots left out", by_server(of_server("pbs_snapshots_truncated")), looks=amber),
            Column(
                "Tasks",
                by_server(of_server("pbs_tasks_own_only")),
                looks=(mapped({"1": ("own only", AMBER), "0": ("all", "text")}), coloured_text()),
            ),
        ],
        "State",
        empty="No server is told of.",
    )


def probes() -> object:
    def of(family: str) -> str:
        return of_server(f"pbs_collector_{family}")

    return table(
        "Probes",
        "What is asked of each server in turn: whether the newest round went well, and how old what it told is.",
        [
            Column(
                "Went well",
                by_server(of("success"), "probe"),
                looks=(mapped({"1": ("yes", GREEN), "0": ("no", RED)}), coloured_text(), wide(100)),
            ),
            Column("Probe", label="probe"),
            Column("Server", label="server"),
            Column(
                "Last success",
                by_server(f"{of('last_success_timestamp_seconds')} - time()", "probe"),
                looks=relative(),
            ),
            Column(
                "Took",
                by_server(of("duration_seconds"), "probe"),
                looks=(prop("unit", "s"), prop("decimals", 1)),
            ),
            Column("Failed rounds", by_server(of("failures_total"), "probe"), looks=(prop("decimals", 0),)),
        ],
        "Went well",
        empty="No probe has ended yet, or nothing is scraped.",
    )


def missing() -> object:
    grant = of_server("pbs_permission_missing")
    return table(
        "Missing grants",
        "Grants that a token lacks: give them to the token and to its user. Without them lists are shorter than "
        "they should be.",
        [
            Column("Servers", f"count by (privilege, path) ({grant})", looks=(prop("decimals", 0), wide(90))),
            Column("Privilege", label="privilege"),
            Column("Path", label="path"),
        ],
        "Path",
        empty="No grant is missing, or nothing is scraped.",
    )


def _lines(panel: timeseries.Panel) -> timeseries.Panel:
    panel = panel.color_scheme(by_palette()).line_width(2).fill_opacity(8).show_points(common.VisibilityMode.NEVER)
    return panel.min(0).legend(legend_list()).tooltip(every_series())


def _rate(family: str) -> str:
    return f"rate({of_server(family)}[5m])"


def traffic() -> timeseries.Panel:
    panel = timeseries.Panel().title("Received from each server").no_value("Nothing was asked.")
    panel = panel.description("Bytes a second that the collector takes from each server.")
    expr = by_server(_rate("pbs_collector_received_bytes_total"))
    return _lines(panel.targets([over_time(expr, "A", "{{server}}")]).unit("Bps"))


def errors() -> timeseries.Panel:
    panel = timeseries.Panel().title("Requests that failed").no_value("No request ever failed.")
    panel = panel.description("Failed requests a minute, by server and reason.")
    expr = by_server(f"60 * {_rate('pbs_collector_errors_total')}", "reason")
    return _lines(panel.targets([over_time(expr, "A", "{{server}} {{reason}}")]).unit("short"))


def load() -> timeseries.Panel:
    panel = timeseries.Panel().title("Processor and waiting for disks").no_value("No server tells its load.")
    panel = panel.description("Share of the time that the server's processors worked, and that waited for disks.")
    queries = [
        over_time(by_server(of_server("pbs_host_cpu_usage")), "A", "{{server}} processor"),
        over_time(by_server(of_server("pbs_host_io_wait")), "B", "{{server}} waiting"),
    ]
    return _lines(panel.targets([*queries]).unit("percentunit").max(1))


def memory() -> timeseries.Panel:
    panel = timeseries.Panel().title("Memory and root file system").no_value("No server tells its memory.")
    panel = panel.description("Used share of each server's memory and of its root file system.")
    parts = (("A", "memory"), ("B", "rootfs"))
    queries = [
        over_time(
            by_server(f"{of_server(f'pbs_host_{part}_used_bytes')} / {of_server(f'pbs_host_{part}_total_bytes')}"),
            ref,
            f"{{{{server}}}} {'root' if part == 'rootfs' else part}",
        )
        for ref, part in parts
    ]
    return _lines(panel.targets([*queries]).unit("percentunit").max(1))

"""The dashboard of restic-manager's papers on ``rm_*``: six panels, with the queries, units and words told there.

Works on lastgood and on restic-manager itself, since both tell the same families.
"""

from __future__ import annotations

from grafana_foundation_sdk.builders import stat, timeseries
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import dashboard as models
from scripts.dashboards.parts import (
    AMBER,
    BLUE,
    GREEN,
    RED,
    Row,
    board,
    by_palette,
    by_threshold,
    datasource_variable,
    every_series,
    legend_list,
    legend_table,
    newest,
    now,
    over_time,
    prop,
    steps,
    when_nan,
)
from scripts.dashboards.table import (
    Column,
    coloured_cell,
    coloured_text,
    in_bytes,
    mapped,
    relative,
    table,
    thresholds,
    wide,
)

DAY = 86_400
BY_HOST = "max by (host_id, host)"


def dashboard() -> models.Dashboard:
    return board(
        "restic-manager",
        "restic-manager",
        "Hosts, their last backups, repositories, alerts and jobs, from the rm_* metrics.",
        [datasource_variable()],
        [
            Row(5, [(12, _fleet_status()), (12, _open_alerts())]),
            Row(10, [(24, _hosts())]),
            Row(9, [(24, _repository_sizes())]),
            Row(8, [(12, _failing()), (12, _durations())]),
        ],
    )


def _fleet_status() -> stat.Panel:
    plain = [prop("unit", "short"), prop("decimals", 0), prop("thresholds", steps("text").build())]
    panel = stat.Panel().title("Fleet status").no_value("no data")
    panel = panel.description("Share of the enrolled hosts whose agent is online, and how many those are.")
    panel = panel.targets(
        [
            # Without a scrape the newest value of the range would stay; NaN says that nothing is known.
            over_time("min(rm_hosts_online / rm_hosts_total) or vector(NaN)", "A", "online"),
            over_time("sum(rm_hosts_online) or vector(NaN)", "B", "hosts online"),
            over_time("sum(rm_hosts_total) or vector(NaN)", "C", "hosts enrolled"),
        ]
    )
    panel = panel.unit("percentunit").decimals(0).thresholds(steps(RED, (0.9, AMBER), (1, GREEN)))
    panel = panel.color_scheme(by_threshold()).mappings([when_nan("unknown")])
    panel = panel.override_by_query("B", plain).override_by_query("C", plain)
    panel = panel.reduce_options(newest()).graph_mode(common.BigValueGraphMode.AREA)
    panel = panel.text_mode(common.BigValueTextMode.VALUE_AND_NAME).color_mode(common.BigValueColorMode.VALUE)
    return panel.orientation(common.VizOrientation.VERTICAL).justify_mode(common.BigValueJustifyMode.AUTO)


def _open_alerts() -> stat.Panel:
    panel = stat.Panel().title("Open alerts").no_value("no data")
    panel = panel.description("Alerts that are open now, by severity.")
    panel = panel.targets([now("sum by (severity) (rm_active_alerts)", "A", "{{severity}}")])
    panel = panel.unit("short").decimals(0).thresholds(steps(GREEN, (1, AMBER))).color_scheme(by_threshold())
    for severity, colour in (("critical", RED), ("warning", AMBER), ("info", BLUE)):
        panel = panel.override_by_name(severity, [prop("thresholds", steps(GREEN, (1, colour)).build())])
    panel = panel.reduce_options(newest()).graph_mode(common.BigValueGraphMode.NONE)
    panel = panel.text_mode(common.BigValueTextMode.VALUE_AND_NAME)
    return panel.color_mode(common.BigValueColorMode.BACKGROUND).orientation(common.VizOrientation.VERTICAL)


def _hosts() -> object:
    return table(
        "Hosts",
        "One row a host, the oldest backup first. Last backup is when the newest one ended, whatever came of it; "
        "Result says what did. A dash means that nothing is known.",
        [
            Column("Host", label="host"),
            Column(
                "Online",
                f"{BY_HOST} (rm_host_agent_online)",
                looks=(mapped({"1": ("online", GREEN), "0": ("offline", RED)}), coloured_cell(), wide(100)),
            ),
            Column(
                "Last backup",
                # Below zero, so that Grafana says "ago".
                f"-{BY_HOST} (time() - rm_host_last_backup_timestamp_seconds)",
                looks=(*relative(), thresholds(RED, (-2 * DAY, AMBER), (-26 * 3600, GREEN)), coloured_text()),
            ),
            Column(
                "Result",
                f"{BY_HOST} (rm_host_last_backup_success)",
                looks=(mapped({"1": ("succeeded", GREEN), "0": ("not good", RED)}), coloured_text(), wide(120)),
            ),
            Column("Repo size", f"{BY_HOST} (rm_host_repo_size_bytes)", looks=in_bytes()),
            Column(
                "Snapshots", f"{BY_HOST} (rm_host_snapshot_count)", looks=(prop("unit", "short"), prop("decimals", 0))
            ),
            Column(
                "Alerts",
                f"{BY_HOST} (rm_host_open_alerts)",
                looks=(prop("decimals", 0), thresholds("text", (1, RED)), coloured_text(), wide(80)),
            ),
        ],
        "Last backup",
        empty="No host is enrolled, or nothing is scraped.",
    )


def _repository_sizes() -> timeseries.Panel:
    panel = timeseries.Panel().title("Repo size over time").no_value("No repository's size is known.")
    panel = panel.description(
        "Size of each host's repositories, one line a host. A repository that hosts share counts whole for each."
    )
    panel = panel.targets([over_time("rm_host_repo_size_bytes", "A", "{{host}}")]).unit("bytes").axis_soft_min(0)
    panel = panel.color_scheme(by_palette()).line_width(2).fill_opacity(8).show_points(common.VisibilityMode.NEVER)
    return panel.legend(legend_table("lastNotNull", "diff")).tooltip(every_series())


def _failing() -> timeseries.Panel:
    panel = timeseries.Panel().title("Backups failing").no_value("No host ever had a backup.")
    panel = panel.description("Hosts whose newest backup did not succeed.")
    # Zero where all succeeded, and nothing where nothing is known.
    panel = panel.targets([over_time("sum(rm_host_last_backup_success == bool 0)", "A", "hosts failing")])
    panel = panel.unit("short").decimals(0).min(0).axis_soft_max(1).thresholds(steps(GREEN, (1, RED)))
    panel = panel.color_scheme(by_threshold()).line_interpolation(common.LineInterpolation.STEP_AFTER).line_width(2)
    panel = panel.fill_opacity(25).gradient_mode(common.GraphGradientMode.SCHEME)
    return panel.show_points(common.VisibilityMode.NEVER).legend(legend_list()).tooltip(every_series())


def _durations() -> timeseries.Panel:
    quantile = "histogram_quantile(0.95, sum by (kind, le) (rate(rm_job_duration_seconds_bucket[1h])))"
    panel = timeseries.Panel().title("Job duration p95").no_value("No job ended within an hour of any moment shown.")
    panel = panel.description(
        "How long the slowest twentieth of the jobs ran at least, by kind, over the hour before each point. "
        "Hours without a job of a kind have no point."
    )
    # A quantile of no jobs is NaN, which this comparison leaves out.
    panel = panel.targets([over_time(f"{quantile} >= 0", "A", "{{kind}}")]).unit("s").min(0)
    panel = panel.color_scheme(by_palette()).line_width(1).show_points(common.VisibilityMode.ALWAYS).point_size(5)
    return panel.legend(legend_table("lastNotNull", "max")).tooltip(every_series())

"""What happens on container hosts: backup jobs, deploys, answers of agents, requests, alerts and audited actions."""

from __future__ import annotations

from grafana_foundation_sdk.builders import bargauge, timeseries
from grafana_foundation_sdk.models import common
from scripts.dashboards.docker_hosts import of_host
from scripts.dashboards.parts import (
    AMBER,
    BLUE,
    GREEN,
    RED,
    by_palette,
    by_threshold,
    every_series,
    fixed,
    legend_list,
    legend_table,
    newest,
    now,
    over_time,
    prop,
    steps,
)
from scripts.dashboards.table import Column, coloured_text, hidden, mapped, relative, table, thresholds, wide

DAY = 86_400
JOBS = 'exported_job=~"($host)/.*|[^/]*"'
"""Jobs are called host/name here, and by a name alone in dockmesh. The scrape's own label is ``job``."""

BY_JOB = "max by (exported_job)"
JOB = "{{exported_job}}"


def _of_job(family: str) -> str:
    return f"{family}{{{JOBS}}}"


def jobs() -> object:
    last = _of_job("dockmesh_backup_last_run_timestamp")
    return table(
        "Last good backups",
        "Every backup job, those without any good backup first, then the oldest. It turns amber after 26 hours and "
        "red after two days, since these metrics know no schedule.",
        [
            # Queried first: zero until the first good one, so that those without any come first.
            Column("Rank", f"{BY_JOB} ({last}) - time()", looks=(hidden(),)),
            Column(
                "Ever",
                f"{BY_JOB} ({last} > bool 0)",
                looks=(mapped({"1": ("", "text"), "0": ("never", RED)}), coloured_text(), wide(80)),
            ),
            Column("Job", label="exported_job"),
            Column(
                "Last good",
                f"{BY_JOB} (({last} > 0) - time())",
                looks=(*relative(), thresholds(RED, (-2 * DAY, AMBER), (-26 * 3600, GREEN)), coloured_text()),
            ),
            Column(
                "Took",
                f"{BY_JOB} ({_of_job('dockmesh_backup_last_duration_seconds')})",
                looks=(prop("unit", "s"), prop("decimals", 0)),
            ),
        ],
        "Rank",
        empty="There is no backup job, or nothing is scraped.",
    )


def durations() -> timeseries.Panel:
    panel = timeseries.Panel().title("Backup durations").no_value("No backup was good so far.")
    panel = panel.description("How long the last good backup of each job took, the ten that take longest.")
    took = _of_job("dockmesh_backup_last_duration_seconds")
    panel = panel.targets([over_time(f"topk(10, {BY_JOB} ({took}))", "A", JOB)])
    panel = panel.line_interpolation(common.LineInterpolation.STEP_AFTER)
    return _lines(panel.unit("s").min(0)).legend(legend_list())


def deploys() -> timeseries.Panel:
    panel = timeseries.Panel().title("Deploys").no_value("Nothing was deployed.")
    panel = panel.description(
        "How many deploys ended within the hour before each point, on all hosts. The first of a stack's name is not "
        "counted, since a counter that appears has not risen."
    )
    counted = "sum by (result) (increase(dockmesh_deploy_duration_seconds_count[1h]))"
    panel = panel.targets([over_time(counted, "A", "{{result}}")]).unit("short").min(0).axis_soft_max(1)
    panel = panel.override_by_name("error", [fixed(RED)]).override_by_name("ok", [fixed(GREEN)])
    return _lines(panel).legend(legend_list())


def deploy_times() -> timeseries.Panel:
    quantile = (
        "histogram_quantile(0.95, sum by (stack, result, le) (rate(dockmesh_deploy_duration_seconds_bucket[1h])))"
    )
    panel = (
        timeseries.Panel().title("Deploy time p95").no_value("No deploy ended within an hour of any moment shown.")
    )
    panel = panel.description(
        "How long the slowest twentieth of the deploys took at least, by stack and result, over the hour before each "
        "point. Hours without a deploy have no point."
    )
    # A quantile of no deploys is NaN, which this comparison leaves out.
    panel = panel.targets([over_time(f"{quantile} >= 0", "A", "{{stack}} {{result}}")]).unit("s").min(0)
    panel = panel.color_scheme(by_palette()).line_width(1).show_points(common.VisibilityMode.ALWAYS).point_size(5)
    return panel.legend(legend_table("lastNotNull", "max")).tooltip(every_series())


def round_trips() -> timeseries.Panel:
    buckets = of_host("dockmesh_agent_rtt_seconds_bucket")
    quantile = f"histogram_quantile(0.95, sum by (host, le) (rate({buckets}[15m])))"
    panel = timeseries.Panel().title("Agents' answers p95").no_value("No agent was asked.")
    panel = panel.description(
        "How long the slowest twentieth of the answers of each host's agent were under way at least, over a quarter "
        "of an hour; the ten slowest. Agents are asked every half a minute."
    )
    panel = panel.targets([over_time(f"topk(10, {quantile} >= 0)", "A", "{{host}}")])
    return _lines(panel.unit("s").min(0)).legend(legend_list())


def requests() -> timeseries.Panel:
    panel = timeseries.Panel().title("Requests").no_value("not scraped")
    panel = panel.description("Requests to pages and API a second, by status, over five minutes.")
    panel = panel.targets([over_time("sum by (status) (rate(dockmesh_api_requests_total[5m]))", "A", "{{status}}")])
    return _lines(panel.unit("reqps").min(0)).legend(legend_list())


def alerts() -> timeseries.Panel:
    panel = timeseries.Panel().title("Alerts opened").no_value("No alert was ever opened.")
    panel = panel.description(
        "How many alerts were opened in the hour before each point, by severity. The first of a rule is not counted, "
        "since a counter that appears has not risen."
    )
    opened = "sum by (severity) (increase(dockmesh_alerts_fired_total[1h]))"
    panel = panel.targets([over_time(opened, "A", "{{severity}}")]).unit("short").min(0).axis_soft_max(1)
    for severity, colour in (("critical", RED), ("warning", AMBER), ("info", BLUE)):
        panel = panel.override_by_name(severity, [fixed(colour)])
    return _lines(panel).legend(legend_list())


def audited() -> bargauge.Panel:
    panel = bargauge.Panel().title("Audited actions").no_value("Nothing was written into the audit log.")
    panel = panel.description("What was done most often since the audit log began, by the name of the action.")
    panel = panel.targets(
        [now("topk(12, sum by (action) (dockmesh_audit_log_entries_total))", "A", "{{action}}")]
    ).unit("short")
    panel = panel.decimals(0).min(0).thresholds(steps(BLUE)).color_scheme(by_threshold())
    panel = panel.orientation(common.VizOrientation.HORIZONTAL).display_mode(common.BarGaugeDisplayMode.BASIC)
    panel = panel.name_placement(common.BarGaugeNamePlacement.LEFT).value_mode(common.BarGaugeValueMode.TEXT)
    return panel.reduce_options(newest()).show_unfilled(True)


def _lines(panel: timeseries.Panel) -> timeseries.Panel:
    panel = panel.color_scheme(by_palette()).line_width(2).fill_opacity(8)
    return panel.show_points(common.VisibilityMode.NEVER).tooltip(every_series())

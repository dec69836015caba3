"""What a server does: configured jobs, tasks by type and end, and tape."""

from __future__ import annotations

from grafana_foundation_sdk.builders import timeseries
from grafana_foundation_sdk.models import common
from scripts.dashboards.parts import (
    AMBER,
    BLUE,
    GREEN,
    PURPLE,
    RED,
    by_palette,
    every_series,
    legend_list,
    over_time,
    prop,
)
from scripts.dashboards.pbs.named import by_job, by_server, of_server, of_store
from scripts.dashboards.table import (
    Column,
    coloured_text,
    hidden,
    in_bytes,
    mapped,
    relative,
    table,
    thresholds,
    wide,
)

CHOSEN = 'namespace=~"$namespace"'


def _job(family: str) -> str:
    return of_store(f"pbs_job_{family}", CHOSEN)


def jobs() -> object:
    ends = {"OK": ("1", "OK", GREEN), "WARNINGS": ("2", "warnings", AMBER)}
    ends |= {"unknown": ("3", "unknown", PURPLE), "ERROR": ("4", "failed", RED)}
    ranked = " or ".join(f"{number} * {_status(status)}" for status, (number, _, _) in ends.items())
    words = {number: (word, colour) for number, word, colour in ends.values()}
    overdue = thresholds(RED, (-3600, "text"))
    return table(
        "Jobs",
        "Every configured sync, verify, prune, tape and garbage collection job, with how its last run ended and when "
        "the next one is due. A sync with warnings left something out.",
        [
            Column("Last run", by_job(f"max without (status) ({ranked})"), looks=(mapped(words), coloured_text())),
            Column("Kind", label="job_type", looks=(wide(80),)),
            Column("Job", label="job_id"),
            Column("Datastore", label="datastore"),
            Column("Namespace", label="namespace"),
            Column("Server", label="server"),
            Column("Schedule", label="schedule"),
            Column("Told", by_job(_job("info"), "schedule"), looks=(hidden(),)),
            Column("Ended", by_job(f"{_job('last_run_timestamp_seconds')} - time()"), looks=relative()),
            Column(
                "Next run",
                by_job(f"{_job('next_run_timestamp_seconds')} - time()"),
                looks=(*relative(), overdue, coloured_text()),
            ),
            Column(
                "Runs now",
                by_job(_job("running")),
                looks=(mapped({"1": ("running", BLUE), "0": ("", "text")}), coloured_text(), wide(90)),
            ),
            Column(
                "Enabled",
                by_job(_job("enabled")),
                looks=(mapped({"1": ("yes", "text"), "0": ("no", AMBER)}), coloured_text(), wide(90)),
            ),
        ],
        "Last run",
        descending=True,
        empty="No job is configured, or nothing is scraped.",
    )


def _status(status: str) -> str:
    return of_store("pbs_job_last_status", CHOSEN, f'status="{status}"')


def _lines(panel: timeseries.Panel) -> timeseries.Panel:
    panel = panel.color_scheme(by_palette()).line_width(1).fill_opacity(8).show_points(common.VisibilityMode.NEVER)
    return panel.unit("short").decimals(0).min(0).legend(legend_list()).tooltip(every_series())


def ended() -> timeseries.Panel:
    panel = timeseries.Panel().title("Tasks that ended").no_value("No task is known.")
    panel = panel.description("Tasks that ended in the hour before each point, by type; all servers together.")
    expr = f"sum by (worker_type) (increase({of_server('pbs_task_total')}[1h]))"
    return _lines(panel.targets([over_time(expr, "A", "{{worker_type}}")]))


def unwell() -> timeseries.Panel:
    panel = timeseries.Panel().title("Tasks that did not end well").no_value("No task ever ended otherwise.")
    panel = panel.description("Those of them with warnings, with an error, or of which the server lost sight.")
    ended_so = of_server("pbs_task_total", 'status!="OK"')
    expr = f"sum by (worker_type, status) (increase({ended_so}[1h]))"
    return _lines(panel.targets([over_time(expr, "A", "{{worker_type}} {{status}}")]))


def running() -> timeseries.Panel:
    panel = timeseries.Panel().title("Tasks under way").no_value("No task is known.")
    panel = panel.description("Tasks that run, by type; all servers together.")
    expr = f"sum by (worker_type) ({of_server('pbs_task_running')})"
    panel = panel.line_interpolation(common.LineInterpolation.STEP_AFTER)
    return _lines(panel.targets([over_time(expr, "A", "{{worker_type}}")]))


def last_unwell() -> object:
    bad = of_server("pbs_task_duration_seconds", 'status!="OK"')
    return table(
        "Last tasks that did not end well",
        "Types and things whose last task, within 14 days, ended otherwise than OK; at most 200, the longest first.",
        [
            Column(
                "Took",
                by_server(f"topk(200, {bad})", "worker_type", "worker_id", "status"),
                looks=(prop("unit", "s"), prop("decimals", 0)),
            ),
            Column("Type", label="worker_type"),
            Column("Thing", label="worker_id"),
            Column("Ended", label="status", looks=(wide(110),)),
            Column("Server", label="server"),
        ],
        "Took",
        descending=True,
        empty="Every last task ended well, or nothing is scraped.",
    )


def drives() -> object:
    return table(
        "Tape drives",
        "The configured drives. Without vendor and model the host sees no device; without Tape.Audit none is told.",
        [
            Column(
                "In use",
                by_server(of_server("pbs_tape_drive_in_use"), "name"),
                looks=(mapped({"1": ("in use", BLUE), "0": ("free", "text")}), coloured_text(), wide(90)),
            ),
            Column("Drive", label="name"),
            Column("Server", label="server"),
            Column("Vendor", label="vendor"),
            Column("Model", label="model"),
            Column("Told", by_server(of_server("pbs_tape_drive_info"), "name", "vendor", "model"), looks=(hidden(),)),
        ],
        "Drive",
        empty="No tape drive is told of.",
    )


def media() -> object:
    return table(
        "Tapes",
        "Tapes by pool, status and location.",
        [
            Column(
                "Tapes",
                by_server(of_server("pbs_tape_media"), "pool", "status", "location"),
                looks=(prop("decimals", 0), wide(90)),
            ),
            Column("Pool", label="pool"),
            Column("Status", label="status"),
            Column("Location", label="location"),
            Column("Server", label="server"),
            Column(
                "Written",
                by_server(of_server("pbs_tape_media_used_bytes"), "pool", "status", "location"),
                looks=in_bytes(),
            ),
        ],
        "Pool",
        empty="No tape is told of.",
    )

"""Datastores: capacity with its full date, state, and garbage collection."""

from __future__ import annotations

from grafana_foundation_sdk.builders import timeseries
from grafana_foundation_sdk.models import common
from scripts.dashboards.parts import AMBER, BLUE, GREEN, RED, by_palette, every_series, legend_list, over_time, prop
from scripts.dashboards.pbs.named import by_store, of_store
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

LEGEND = "{{server}} {{datastore}}"
YES = mapped({"1": ("yes", GREEN), "0": ("no", RED)})
_PLACES = (Column("Datastore", label="datastore"), Column("Server", label="server"))


def datastores() -> object:
    used, total = of_store("pbs_datastore_used_bytes"), of_store("pbs_datastore_total_bytes")
    return table(
        "Datastores",
        "Each datastore with its room and when it will be full at last month's growth. Of an S3 store both are of "
        "its local cache. A dash under Full in means never, or that nobody can tell.",
        [
            # Queried first: the one that every datastore has.
            Column(
                "Told",
                by_store(of_store("pbs_datastore_info"), "backend_type", "mount_status", "maintenance"),
                looks=(hidden(),),
            ),
            *_PLACES,
            Column("Readable", by_store(of_store("pbs_datastore_up")), looks=(YES, coloured_text(), wide(90))),
            Column("Maintenance", label="maintenance"),
            Column("Mounted", label="mount_status"),
            Column("Stored as", label="backend_type"),
            Column(
                "Used",
                by_store(f"{used} / {total}"),
                looks=(
                    prop("unit", "percentunit"),
                    prop("decimals", 0),
                    thresholds("text", (0.85, AMBER), (0.95, RED)),
                    coloured_text(),
                    wide(80),
                ),
            ),
            Column("Left", by_store(of_store("pbs_datastore_available_bytes")), looks=in_bytes()),
            Column("Size", by_store(total), looks=in_bytes()),
            Column(
                "Full in",
                by_store(f"{of_store('pbs_datastore_full_timestamp_seconds')} - time()"),
                looks=(*relative(), thresholds(RED, (14 * 86_400, AMBER), (60 * 86_400, "text")), coloured_text()),
            ),
            Column(
                "Deduplication",
                by_store(of_store("pbs_dedup_factor")),
                looks=(prop("unit", "suffix:×"), prop("decimals", 1)),
            ),
            Column(
                "Unreadable namespaces",
                by_store(of_store("pbs_datastore_unreadable_namespaces")),
                looks=(prop("decimals", 0), thresholds("text", (1, AMBER)), coloured_text()),
            ),
        ],
        "Used",
        descending=True,
        empty="No datastore is known.",
    )


def _lines(panel: timeseries.Panel) -> timeseries.Panel:
    panel = panel.color_scheme(by_palette()).line_width(2).fill_opacity(8).show_points(common.VisibilityMode.NEVER)
    return panel.legend(legend_list()).tooltip(every_series())


def used() -> timeseries.Panel:
    panel = timeseries.Panel().title("Used of each datastore").no_value("No datastore's size is known.")
    panel = panel.description("Used space as a share of the datastore; of an S3 store that of its cache.")
    share = f"{of_store('pbs_datastore_used_bytes')} / {of_store('pbs_datastore_total_bytes')}"
    return _lines(panel.targets([over_time(by_store(share), "A", LEGEND)]).unit("percentunit").min(0).max(1))


def collections() -> object:
    def gc(family: str) -> str:
        return by_store(of_store(f"pbs_gc_{family}"))

    return table(
        "Garbage collection",
        "The last run of each datastore. Removed, pending and corrupt are of the last one that went well.",
        [
            Column("Runs now", gc("running"), looks=(mapped({"1": ("running", BLUE), "0": ("", "text")}), wide(90))),
            *_PLACES,
            Column("Went well", gc("status"), looks=(YES, coloured_text(), wide(100))),
            Column("Last ended", by_store(f"{of_store('pbs_gc_last_run_timestamp')} - time()"), looks=relative()),
            Column(
                "Last success",
                by_store(f"{of_store('pbs_gc_last_success_timestamp_seconds')} - time()"),
                looks=(*relative(), thresholds(AMBER, (-14 * 86_400, "text")), coloured_text()),
            ),
            Column("Took", gc("duration_seconds"), looks=(prop("unit", "s"), prop("decimals", 0))),
            Column("Removed", gc("removed_bytes"), looks=in_bytes()),
            Column("Pending", gc("pending_bytes"), looks=in_bytes()),
            Column(
                "Corrupt chunks",
                gc("still_bad_chunks"),
                looks=(prop("decimals", 0), thresholds("text", (1, RED)), coloured_text()),
            ),
        ],
        "Last success",
        empty="No garbage collection is known.",
    )

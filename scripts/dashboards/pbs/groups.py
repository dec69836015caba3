"""Backup groups: how they stand, what is not good, who is furthest past the target, and verification."""

from __future__ import annotations

from grafana_foundation_sdk.builders import bargauge, stat, timeseries
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import dashboard as models
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
from scripts.dashboards.pbs.named import SAME_SERVER, by_group, by_store, minded, of_group, off, or_zero
from scripts.dashboards.table import (
    Column,
    coloured_cell,
    coloured_text,
    hidden,
    mapped,
    relative,
    table,
    thresholds,
    wide,
)

STANDINGS = {
    8: ("failed", RED),
    7: ("damaged", RED),
    6: ("never", RED),
    5: ("past target", RED),
    4: ("past rhythm", AMBER),
    3: ("in time", GREEN),
    2: ("off on purpose", GREY),
    1: ("archived", GREY),
}
"""Worst first; 4 and above need a look."""

MOST = 200
NAMED = "{{backup_type}}/{{backup_id}} {{datastore}} {{namespace}} {{server}}"

COUNT = of_group("pbs_snapshot_count")
AGE = f"(time() - {of_group('pbs_group_last_good_timestamp_seconds')})"
TARGET = of_group("pbs_group_target_seconds")
RHYTHM = of_group("pbs_group_expected_interval_seconds")
FAILED = of_group("pbs_group_verification", 'state="failed"')


def standing() -> str:
    """A number for each group, as ``STANDINGS`` says."""
    never = f"{COUNT} unless {of_group('pbs_group_last_good_timestamp_seconds')}"
    return " or ".join(
        [
            f"1 * {of_group('pbs_group_archived')}",
            f"2 + 0 * ({COUNT} and {SAME_SERVER} {off()})",
            f"8 + 0 * ({of_group('pbs_group_failed_attempts')} > 0)",
            f"7 + 0 * max without (state) ({FAILED})",
            f"6 + 0 * ({never})",
            f"5 + 0 * ({AGE} > {TARGET})",
            f"4 + 0 * ({AGE} > 2 * {RHYTHM} unless {TARGET})",
            f"3 + 0 * {COUNT}",
        ]
    )


def by_standing() -> stat.Panel:
    expr = f'count_values("standing", {standing()})'
    for rank, (word, _) in STANDINGS.items():
        expr = f'label_replace({expr}, "standing", "{word}", "standing", "{rank}")'
    panel = stat.Panel().title("Groups").no_value("nothing is known")
    panel = panel.description(
        "How many groups stand how; what there is none of is left out. Failed: an attempt failed since the last good "
        "snapshot. Damaged: the newest one failed its verification. Past rhythm: no target is set, and nothing came "
        "for twice the usual time."
    )
    panel = panel.targets([now(expr, "A", "{{standing}}")]).unit("short").decimals(0)
    panel = panel.color_scheme(by_threshold()).thresholds(steps("text"))
    for word, colour in STANDINGS.values():
        panel = panel.override_by_name(word, [prop("thresholds", steps("text", (1, colour)).build())])
    panel = panel.reduce_options(newest()).graph_mode(common.BigValueGraphMode.NONE)
    panel = panel.text_mode(common.BigValueTextMode.VALUE_AND_NAME).color_mode(common.BigValueColorMode.VALUE)
    return panel.orientation(common.VizOrientation.VERTICAL).justify_mode(common.BigValueJustifyMode.CENTER)


def _words() -> tuple[models.DynamicConfigValue, ...]:
    return mapped({str(rank): told for rank, told in STANDINGS.items()}), coloured_cell(), wide(120)


def _places() -> list[Column]:
    return [
        Column("Type", label="backup_type", looks=(wide(60),)),
        Column("Group", label="backup_id"),
        Column("Namespace", label="namespace"),
        Column("Datastore", label="datastore"),
        Column("Server", label="server"),
    ]


def _guest(shown: str) -> list[Column]:
    """What PVE calls the guest; the value beside it says nothing."""
    info = f"{of_group('pbs_group_info')} and ignoring (owner, comment, guest) {shown}"
    return [Column("Guest", label="guest"), Column("Told", by_group(info, "guest"), looks=(hidden(),))]


def not_good() -> object:
    bad = f"topk({MOST}, ({standing()}) > 3)"
    return table(
        "Groups that need a look",
        f"Worst first, at most {MOST}: what failed, is damaged, never was good, or is past its target or rhythm. "
        "Archived groups and those of servers that are off on purpose are counted above and left out here.",
        [
            Column("Standing", by_group(bad), looks=_words()),
            *_places(),
            *_guest(f"({bad})"),
            Column("Last good", by_group(f"-{AGE} and ({bad})"), looks=relative()),
            Column("Allowed", by_group(f"({TARGET} or 2 * {RHYTHM}) and ({bad})"), looks=_span()),
            Column(
                "Failed attempts",
                by_group(f"{of_group('pbs_group_failed_attempts')} and ({bad})"),
                looks=(prop("decimals", 0), thresholds("text", (1, RED)), coloured_text()),
            ),
        ],
        "Standing",
        descending=True,
        empty="Every group is in time, or nothing is scraped.",
    )


def _span() -> tuple[models.DynamicConfigValue, ...]:
    return prop("unit", "dtdurations"), prop("decimals", 0)


def furthest_past() -> bargauge.Panel:
    panel = bargauge.Panel().title("Furthest past their target").no_value("No group has both a rhythm and a backup.")
    panel = panel.description(
        "Age of the last good backup as a share of the target, else of the usual time between two backups. Archived "
        "groups and those of servers that are off on purpose are left out."
    )
    used = by_group(f"topk(12, {minded(f'{AGE} / ({TARGET} or {RHYTHM})')})")
    panel = panel.targets([now(used, "A", NAMED)]).unit("percentunit").decimals(0)
    return _bars(panel.min(0).max(3).thresholds(steps(GREEN, (1, AMBER), (2, RED))))


def _bars(panel: bargauge.Panel) -> bargauge.Panel:
    panel = panel.color_scheme(by_threshold()).orientation(common.VizOrientation.HORIZONTAL)
    panel = panel.display_mode(common.BarGaugeDisplayMode.BASIC).value_mode(common.BarGaugeValueMode.TEXT)
    panel = panel.name_placement(common.BarGaugeNamePlacement.LEFT)
    return panel.reduce_options(newest()).show_unfilled(True)


def oldest_first() -> object:
    shown = f"topk({MOST}, {AGE} or time() + 0 * {COUNT})"
    return table(
        "All groups, the oldest first",
        f"At most {MOST}, those without a good backup first; archived ones and those of servers that are off on "
        "purpose are marked as such. Choose a datastore to see the rest.",
        [
            # Queried first: how long each waits sorts the rows, those without any good backup too.
            Column("Waits", by_group(shown), looks=(hidden(),)),
            Column("Standing", by_group(f"({standing()}) and ({shown})"), looks=_words()),
            *_places(),
            Column("Last good", by_group(f"-{AGE} and ({shown})"), looks=relative()),
            Column("Snapshots", by_group(f"{COUNT} and ({shown})"), looks=(prop("decimals", 0), wide(100))),
            Column(
                "Size",
                by_group(f"{of_group('pbs_snapshot_size_bytes')} and ({shown})"),
                looks=(prop("unit", "bytes"), prop("decimals", 1)),
            ),
            Column(
                "Unfinished",
                by_group(f"{of_group('pbs_group_unfinished_uploads')} and ({shown})"),
                looks=(prop("decimals", 0), thresholds("text", (1, AMBER)), coloured_text(), wide(100)),
            ),
            Column(
                "Encrypted",
                by_group(f"{of_group('pbs_group_encrypted')} and ({shown})"),
                looks=(mapped({"1": ("yes", "text"), "0": ("no", "text")}), wide(100)),
            ),
            Column(
                "Verified",
                by_group(f"({of_group('pbs_group_verified_timestamp_seconds')} - time()) and ({shown})"),
                looks=relative(),
            ),
        ],
        "Waits",
        descending=True,
        empty="No group is known.",
    )


def oldest_over_time() -> timeseries.Panel:
    panel = timeseries.Panel().title("Oldest last good backup").no_value("No good backup is known.")
    panel = panel.description(
        "Of each datastore, how old the last good backup is of the group that waits for longest; without archived "
        "groups and servers that are off on purpose."
    )
    panel = panel.targets([over_time(by_store(minded(AGE)), "A", "{{server}} {{datastore}}")]).unit("s").min(0)
    panel = panel.color_scheme(by_palette()).line_width(2).show_points(common.VisibilityMode.NEVER)
    return panel.legend(legend_list()).tooltip(every_series())


def verification() -> stat.Panel:
    panel = stat.Panel().title("Newest snapshots, by verification").no_value("nothing is known")
    panel = panel.description("Whether the newest finished snapshot of each group was verified, and how that ended.")
    state = of_group("pbs_group_verification")
    told = [("failed", RED), ("none", AMBER), ("ok", GREEN)]
    queries = []
    for ref, (word, _) in zip("ABC", told, strict=True):
        those = of_group("pbs_group_verification", f'state="{word}"')
        queries.append(now(or_zero(f"count({those})", state), ref, word))
    panel = panel.targets([*queries]).unit("short").decimals(0).color_scheme(by_threshold()).thresholds(steps("text"))
    for word, colour in told:
        panel = panel.override_by_name(word, [prop("thresholds", steps("text", (1, colour)).build())])
    panel = panel.reduce_options(newest()).graph_mode(common.BigValueGraphMode.NONE)
    panel = panel.text_mode(common.BigValueTextMode.VALUE_AND_NAME).color_mode(common.BigValueColorMode.VALUE)
    return panel.orientation(common.VizOrientation.VERTICAL)


def longest_unverified() -> bargauge.Panel:
    panel = bargauge.Panel().title("Longest not verified").no_value("No group was ever verified.")
    panel = panel.description(
        "Age of the newest good verification as a share of how old it may be, by the verify job or else 30 days. "
        "Groups without any are not here but counted beside it, under none."
    )
    verified = of_group("pbs_group_verified_timestamp_seconds")
    used = minded(f"(time() - {verified}) / {of_group('pbs_group_verify_stale_seconds')}")
    panel = panel.targets([now(by_group(f"topk(12, {used})"), "A", NAMED)]).unit("percentunit").decimals(0)
    return _bars(panel.min(0).max(2).thresholds(steps(GREEN, (1, AMBER))))


def damaged() -> object:
    shown = f"max without (state) ({FAILED})"
    return table(
        "Failed verifications",
        "Groups whose newest finished snapshot failed its verification, with the last backup that is good.",
        [
            *_places(),
            *_guest(shown),
            Column("Last good", by_group(f"-{AGE} and {shown}"), looks=relative()),
            Column(
                "Snapshot of",
                by_group(f"({of_group('pbs_group_last_snapshot_timestamp_seconds')} - time()) and {shown}"),
                looks=relative(),
            ),
        ],
        "Last good",
        empty="No newest snapshot failed its verification, or nothing is scraped.",
    )

"""Tables of several instant queries: one row a thing, one column a query or a label.

Comes in: columns with their queries. Goes out: a table panel whose frames Grafana merges on the labels they share.
The one rule: every query of a table answers the same labels, so each must aggregate by them; a raw metric's name or
an odd label would tear its rows apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import table as table_builders
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import dashboard as models
from scripts.dashboards.parts import AGO, STATE_COLOURS, prop, rows_now, steps, words

DASH = "–"
REFS = "ABCDEFGHIJ"


@dataclass(frozen=True, slots=True)
class Column:
    """``expr`` of a column that a query fills, ``label`` of one that shows a label."""

    title: str
    expr: str = ""
    label: str = ""
    looks: tuple[models.DynamicConfigValue, ...] = ()


def wide(width: int) -> models.DynamicConfigValue:
    return prop("custom.width", width)


def coloured_text() -> models.DynamicConfigValue:
    return prop("custom.cellOptions", {"type": "color-text"})


def coloured_cell() -> models.DynamicConfigValue:
    return prop("custom.cellOptions", {"type": "color-background", "mode": "basic"})


def hidden() -> models.DynamicConfigValue:
    return prop("custom.hidden", True)


def thresholds(base: str, *more: tuple[float, str]) -> models.DynamicConfigValue:
    return prop("thresholds", steps(base, *more).build())


def mapped(told: dict[str, tuple[str, str]]) -> models.DynamicConfigValue:
    return prop("mappings", [words(told)])


def relative() -> tuple[models.DynamicConfigValue, ...]:
    """Seconds from now as words, past ones with "ago"."""
    return prop("unit", AGO), prop("decimals", 1)


def in_bytes() -> tuple[models.DynamicConfigValue, ...]:
    return prop("unit", "bytes"), prop("decimals", 1)


def state_words() -> tuple[models.DynamicConfigValue, ...]:
    told = {state: (state, colour) for state, colour in STATE_COLOURS.items()}
    return mapped(told), coloured_cell(), wide(100)


def table(
    title: str, description: str, columns: Sequence[Column], sort_by: str, *, descending: bool = False, empty: str
) -> table_builders.Panel:
    """``empty`` is what the panel says when no query has a row."""
    asked = [column for column in columns if column.expr]
    targets = [rows_now(column.expr, ref) for ref, column in zip(REFS, asked, strict=False)]
    fields = {f"Value #{ref}": column.title for ref, column in zip(REFS, asked, strict=False)}
    # Grafana leaves the letter out if only one query had an answer, which is then the first.
    fields["Value"] = asked[0].title
    fields |= {column.label: column.title for column in columns if column.label}
    order = {column.title: index for index, column in enumerate(columns)}
    organize = {
        "excludeByName": dict.fromkeys(("Time", "__name__", "instance", "job", *_unshown(columns)), True),
        "indexByName": {name: order[shown] for name, shown in fields.items()},
        "renameByName": fields,
    }
    panel = table_builders.Panel().title(title).description(description).no_value(empty)
    panel = panel.targets(list(targets)).show_header(True).cell_height(common.TableCellHeight.SM)
    panel = panel.thresholds(steps("text"))
    panel = panel.transformations(
        [
            models.DataTransformerConfig(id_val="merge", options={}),
            models.DataTransformerConfig(id_val="organize", options=organize),
            # The table's own order knows only columns that are shown.
            models.DataTransformerConfig(
                id_val="sortBy", options={"fields": {}, "sort": [{"field": sort_by, "desc": descending}]}
            ),
        ]
    )
    for column in columns:
        # An empty cell would else say what the panel says when it is empty.
        panel = panel.override_by_name(column.title, [prop("noValue", DASH), *column.looks])
    return panel


def _unshown(columns: Sequence[Column]) -> list[str]:
    """Labels that identify a row and are no words for people."""
    shown = {column.label for column in columns}
    return [label for label in ("host_id", "source", "repository_id") if label not in shown]

"""What the dashboards share: the data source, queries, colours, thresholds, and rows of panels into one grid.

The one rule: colours mean the same as on the hub's pages (red: act; purple: nobody knows; amber: not quite; blue:
waiting; green: good), and no query can turn "nothing is known" into a number.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.builders import prometheus
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SCHEMA_VERSION = 39
COLUMNS = 24
DATASOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")

RED, PURPLE, AMBER, BLUE, GREEN, GREY = "red", "purple", "orange", "blue", "green", "#8e8e8e"
STATE_COLOURS = {
    "failed": RED,
    "never": RED,
    "missed": RED,
    "unknown": PURPLE,
    "partial": AMBER,
    "late": AMBER,
    "new": BLUE,
    "good": GREEN,
    "paused": GREY,
    "archived": GREY,
}
"""Every state, worst first."""

AGO = "dtdurations"
"""Seconds from now, said in words; Grafana says a negative number of them as ``3 days, 4 hours ago``."""


def over_time(expr: str, ref: str = "A", legend: str = "") -> prometheus.Dataquery:
    """A query over the range that is shown."""
    return _query(expr, ref, legend).range().format(PromQueryFormat.TIME_SERIES)


def now(expr: str, ref: str = "A", legend: str = "") -> prometheus.Dataquery:
    """A query at the end of the range that is shown, one value a series."""
    return _query(expr, ref, legend).instant().format(PromQueryFormat.TIME_SERIES)


def rows_now(expr: str, ref: str) -> prometheus.Dataquery:
    """As ``now``, as rows of a table."""
    return _query(expr, ref, "").instant().format(PromQueryFormat.TABLE)


def _query(expr: str, ref: str, legend: str) -> prometheus.Dataquery:
    query = prometheus.Dataquery().datasource(DATASOURCE).expr(" ".join(expr.split())).ref_id(ref)
    return query.legend_format(legend) if legend else query


def steps(base: str, *more: tuple[float, str]) -> builders.ThresholdsConfig:
    """Thresholds: the colour below all others, then each bound with the colour from there on."""
    told = [models.Threshold(value=None, color=base)]
    told += [models.Threshold(value=bound, color=colour) for bound, colour in more]
    return builders.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(told)


def by_threshold() -> builders.FieldColor:
    return builders.FieldColor().mode(models.FieldColorModeId.THRESHOLDS)


def by_palette() -> builders.FieldColor:
    return builders.FieldColor().mode(models.FieldColorModeId.PALETTE_CLASSIC_BY_NAME)


def words(told: dict[str, tuple[str, str]]) -> models.ValueMapping:
    """Values (as text) to the word and colour that stand for them."""
    options = {
        value: models.ValueMappingResult(text=word, color=colour, index=index)
        for index, (value, (word, colour)) in enumerate(told.items())
    }
    return models.ValueMap(options=options)


def when_nan(word: str) -> models.ValueMapping:
    """What to say where a share of nothing was asked for."""
    result = models.ValueMappingResult(text=word, color="text", index=0)
    return models.SpecialValueMap(
        options=models.DashboardSpecialValueMapOptions(match=models.SpecialValueMatch.NA_N, result=result)
    )


def prop(name: str, value: Any) -> models.DynamicConfigValue:
    return models.DynamicConfigValue(id_val=name, value=value)


def fixed(colour: str) -> models.DynamicConfigValue:
    return prop("color", models.FieldColor(mode=models.FieldColorModeId.FIXED, fixed_color=colour))


def newest() -> common_builders.ReduceDataOptions:
    """Of each series its last value, even if that is no number: an old one would be a claim about now."""
    return common_builders.ReduceDataOptions().calcs(["last"]).values(False).fields("")


def legend_table(*calcs: str) -> common_builders.VizLegendOptions:
    made = common_builders.VizLegendOptions().display_mode(common.LegendDisplayMode.TABLE).show_legend(True)
    return made.placement(common.LegendPlacement.RIGHT).calcs(list(calcs))


def legend_list() -> common_builders.VizLegendOptions:
    made = common_builders.VizLegendOptions().display_mode(common.LegendDisplayMode.LIST).show_legend(True)
    return made.placement(common.LegendPlacement.BOTTOM).calcs([])


def every_series() -> common_builders.VizTooltipOptions:
    """A tooltip that names all series of a moment, the largest first."""
    made = common_builders.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI)
    return made.sort(common.SortOrder.DESCENDING)


def datasource_variable() -> builders.DatasourceVariable:
    return builders.DatasourceVariable("datasource").label("Data source").type("prometheus")


def label_variable(name: str, label: str, selector: str) -> builders.QueryVariable:
    """The values of a label; All also takes series that lack it."""
    query = f"label_values({selector}, {name})"
    made = builders.QueryVariable(name).label(label).datasource(DATASOURCE).query(query).multi(True)
    made = made.include_all(True).all_value(".*").refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
    made = made.sort(models.VariableSort.ALPHABETICAL_CASE_INSENSITIVE_ASC)
    return made.current(models.VariableOption(selected=True, text=["All"], value=["$__all"]))


@dataclass(frozen=True, slots=True)
class Row:
    """Panels side by side, each with its width out of 24; a titled row has a heading of its own."""

    height: int
    panels: Sequence[tuple[int, Any]]
    title: str = ""


@dataclass(slots=True)
class Grid:
    """Panels set row by row, numbered in reading order."""

    panels: list[models.Panel | models.RowPanel] = field(default_factory=list)
    y: int = 0

    def add(self, row: Row) -> None:
        if row.title:
            heading = builders.Row(row.title).id(len(self.panels) + 1)
            self.panels.append(heading.grid_pos(models.GridPos(h=1, w=COLUMNS, x=0, y=self.y)).build())
            self.y += 1
        x = 0
        for width, panel in row.panels:
            position = models.GridPos(h=row.height, w=width, x=x, y=self.y)
            made = panel.datasource(DATASOURCE).id(len(self.panels) + 1).grid_pos(position).build()
            self.panels.append(made)
            x += width
        if x != COLUMNS:
            raise ValueError(f"a row is {x} columns wide, not {COLUMNS}")
        self.y += row.height


def board(uid: str, title: str, description: str, variables: Iterable[Any], rows: Iterable[Row]) -> models.Dashboard:
    """A whole dashboard over the last seven days."""
    builder = builders.Dashboard(title).uid(uid).description(description).tags(["backup", "lastgood"])
    builder = builder.time("now-7d", "now").refresh("1m").timezone("browser").editable()
    builder = builder.tooltip(models.DashboardCursorSync.CROSSHAIR)
    made = builder.variables(list(variables)).build()
    grid = Grid()
    for row in rows:
        grid.add(row)
    made.panels = grid.panels
    made.annotations = models.AnnotationContainer(list_val=[])
    made.schema_version = SCHEMA_VERSION
    made.version = 1
    return made

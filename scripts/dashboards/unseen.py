"""What nobody could see: sources and repositories without news, and whether lastgood itself still judges."""

from __future__ import annotations

from grafana_foundation_sdk.builders import stat
from grafana_foundation_sdk.models import common
from scripts.dashboards.chosen import minded, of_repository, of_source, or_zero
from scripts.dashboards.parts import AMBER, GREEN, PURPLE, RED, by_threshold, newest, now, steps
from scripts.dashboards.table import Column, coloured_text, mapped, relative, state_words, table, thresholds

SERVED = of_source("backup_source_info", 'repository!=""')
"""Sources whose repository is known."""


def counts() -> list[tuple[int, stat.Panel]]:
    unknown = of_source("backup_source_state", 'state="unknown"')
    up = of_repository("backup_repository_up")
    unlooked = f"{SERVED} unless on (repository) {up}"
    return [
        (
            6,
            _count(
                "Sources nobody knows about",
                "Sources in state unknown: something was due, and nobody could look.",
                or_zero(f"count({unknown})", f"count({of_source('backup_source_info')})"),
                PURPLE,
            ),
        ),
        (
            6,
            _count(
                "Repositories that do not answer",
                "Repositories whose newest look into them failed.",
                f"sum({up} == bool 0)",
                RED,
            ),
        ),
        (
            6,
            _count(
                "Repositories nobody looked into",
                "Repositories of sources for which it is not known whether they answer.",
                or_zero(f"count(count by (repository) ({unlooked}))", f"count({of_source('backup_source_info')})"),
                PURPLE,
            ),
        ),
        (6, _judged()),
    ]


def _count(title: str, description: str, expr: str, colour: str) -> stat.Panel:
    panel = stat.Panel().title(title).description(description).no_value("nothing is known").targets([now(expr)])
    panel = panel.unit("short").decimals(0).thresholds(steps(GREEN, (1, colour))).color_scheme(by_threshold())
    return _plain(panel)


def _judged() -> stat.Panel:
    panel = stat.Panel().title("States are those of").no_value("not scraped")
    panel = panel.description("The moment for which all states hold. If it is minutes old, lastgood does not judge.")
    panel = panel.targets([now("min(lastgood_last_evaluation_timestamp_seconds) - time()")]).unit("dtdurations")
    panel = panel.decimals(0).thresholds(steps(RED, (-600, AMBER), (-180, GREEN))).color_scheme(by_threshold())
    return _plain(panel)


def _plain(panel: stat.Panel) -> stat.Panel:
    panel = panel.reduce_options(newest()).graph_mode(common.BigValueGraphMode.NONE)
    return panel.text_mode(common.BigValueTextMode.VALUE).color_mode(common.BigValueColorMode.VALUE)


def longest() -> object:
    seen = f"topk(20, time() - {minded(of_source('backup_observed_timestamp_seconds'))})"
    state = of_source("backup_source_state")
    return table(
        "Longest without news",
        "The twenty sources of which lastgood has known nothing new for longest, with the state that follows.",
        [
            Column(
                "Known until",
                f"-max by (source, host, name, tool, repository, state) "
                f"({seen} * ignoring (state) group_right () {state})",
                looks=(*relative(), thresholds(PURPLE, (-86400, AMBER), (-7200, "text")), coloured_text()),
            ),
            Column("State", label="state", looks=state_words()),
            Column("Host", label="host"),
            Column("Source", label="name"),
            Column("Tool", label="tool"),
            Column("Repository", label="repository"),
        ],
        "Known until",
        empty="nothing is known",
    )


def silent_repositories() -> object:
    up = of_repository("backup_repository_up")
    sources = f"count by (repository, tool) ({SERVED})"
    answers = f"max by (repository, tool) ({up})"
    return table(
        "Repositories without an answer",
        "Repositories that did not answer the newest look into them, or that nobody looked into, with the sources "
        "that rely on them.",
        [
            Column("Repository", label="repository"),
            Column("Tool", label="tool"),
            Column("Sources", f"{sources} unless on (repository, tool) ({answers} == 1)"),
            Column(
                "Answers",
                f"{answers} == 0",
                looks=(mapped({"0": ("no", RED)}), coloured_text()),
            ),
        ],
        "Sources",
        descending=True,
        empty="Every repository answers, or nothing is scraped.",
    )

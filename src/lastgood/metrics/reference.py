"""The page ``docs/metrics.md``, made from the families themselves so that it cannot drift.

Comes in: the vocabularies. Goes out: Markdown. The one rule: what is said of a family stands in its table row; here
is only the frame around it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lastgood.metrics.family import Family
from lastgood.metrics.vocabulary import Vocabulary

_HEAD = """\
# Metrics

Every family that `/metrics` tells, by vocabulary. This page is made from the tables in `src/lastgood/metrics`.
How to scrape them is told in [prometheus.md](prometheus.md).

An unknown value is an absent row, never 0. A row stands on one thing (*one row for each*) and vanishes with it.
A label in brackets is left out where it is empty.
`?vocabulary=NAME` limits a page to one vocabulary; it may stand there several times.
"""

_THINGS = {
    "hub": "the hub",
    "ended_runs": "kind and status",
    "answer": "format and encoding",
    "upkeep": "repository and task",
}


def reference(vocabularies: Iterable[Vocabulary]) -> str:
    """The whole page."""
    return "\n".join([_HEAD, *(_section(vocabulary) for vocabulary in vocabularies)])


def _section(vocabulary: Vocabulary) -> str:
    rows = [
        f"## {vocabulary.name}",
        "",
        vocabulary.purpose,
        "",
        "| name | type | labels | one row for each | meaning |",
        "| --- | --- | --- | --- | --- |",
        *map(_row, vocabulary.families),
        "",
    ]
    return "\n".join(rows)


def _row(family: Family[Any]) -> str:
    labels = ", ".join(f"(`{name}`)" if name in family.optional else f"`{name}`" for name in family.label_names)
    thing = _THINGS.get(family.entity.kind, family.entity.kind)
    meaning = family.help.replace("|", "\\|")
    if family.bounds:
        meaning += f" Buckets: {', '.join(f'{bound:g}' for bound in family.bounds)}, +Inf."
    return f"| `{family.name}` | {family.type} | {labels} | {thing} | {meaning} |"

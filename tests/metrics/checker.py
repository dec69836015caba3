"""What promtool and Prometheus overlook in a page: duplicates, families that interleave, faulty histograms.

Reads the text itself, line by line, with no parser of anybody else.
"""

from __future__ import annotations

import math
import re
from itertools import pairwise

_LINE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)')


def faults(text: str) -> list[str]:
    """Everything that is wrong with the page; empty for a good one."""
    found: list[str] = []
    if text and not text.endswith("\n"):
        found.append("the last line has no end")
    kinds: dict[str, str] = {}
    seen: set[tuple[str, frozenset[tuple[str, str]]]] = set()
    histograms: dict[tuple[str, frozenset[tuple[str, str]]], list[tuple[str, str, float]]] = {}
    family, order = "", list[str]()
    for line in text.split("\n")[:-1]:
        if line == "# EOF":
            continue
        if line.startswith("# "):
            word, name = line.split(" ", 3)[1:3]
            if name != family:
                family = name
                order.append(name)
            if word == "TYPE":
                kinds[name] = line.split(" ")[3]
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            found.append(f"no sample: {line!r}")
            continue
        name, inner, value = match[1], match[2] or "", match[3]
        pairs = _LABEL.findall(inner)
        if "".join(f'{label}="{told}",' for label, told in pairs).rstrip(",") != inner:
            found.append(f"labels that cannot be read: {line!r}")
        series = (name, frozenset(pairs))
        if len(dict(pairs)) != len(pairs):
            found.append(f"a label twice: {line!r}")
        if series in seen:
            found.append(f"twice: {line!r}")
        seen.add(series)
        if name not in (family, f"{family}_total", *(f"{family}_{end}" for end in ("bucket", "count", "sum"))):
            found.append(f"{name} stands in the family {family}")
        if kinds.get(family) == "histogram":
            labels = frozenset(pair for pair in pairs if pair[0] != "le")
            histograms.setdefault((family, labels), []).append((name, dict(pairs).get("le", ""), float(value)))
    found.extend(f"the family {name} is told in pieces" for name in set(order) if order.count(name) > 1)
    for (name, labels), rows in histograms.items():
        found.extend(f"{name}{dict(labels)}: {fault}" for fault in _of_histogram(name, rows))
    return found


def _of_histogram(name: str, rows: list[tuple[str, str, float]]) -> list[str]:
    buckets = [(math.inf if le == "+Inf" else float(le), count) for row, le, count in rows if row == f"{name}_bucket"]
    counts = [count for row, _, count in rows if row == f"{name}_count"]
    sums = [total for row, _, total in rows if row == f"{name}_sum"]
    found = []
    if not buckets or buckets[-1][0] != math.inf:
        found.append("no last bucket +Inf")
    if any(low[0] >= high[0] for low, high in pairwise(buckets)):
        found.append("bounds do not ascend")
    if any(low[1] > high[1] for low, high in pairwise(buckets)):
        found.append("buckets are not cumulative")
    if len(counts) != 1 or len(sums) != 1 or (buckets and counts != [buckets[-1][1]]):
        found.append("count and the last bucket differ, or count or sum is missing")
    if [row for row, _, _ in rows] != [f"{name}_bucket"] * len(buckets) + [f"{name}_count", f"{name}_sum"]:
        found.append("its rows do not stand together")
    return found

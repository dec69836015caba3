"""Families to exposition text: sorted, escaped, in either format a scraper takes.

Takes sections (families and the moment they read), gives chunks of bytes so that no more than a chunk and the label
texts are held. Sample lines of gauges and counters are the same bytes in both formats. The one rule: the same moment
gives the same bytes. Formats: Prometheus text 0.0.4 and OpenMetrics 1.0.0; no timestamps, no ``_created`` rows.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import accumulate
from typing import Any

from lastgood.metrics.family import Family, Histogram, Type, Value

ROWS_A_CHUNK = 1024
"""Bounds a chunk to some hundred kilobytes; fewer, larger chunks compress no better."""

_AWKWARD = re.compile('[\x00-\x1f"\\\\\ud800-\udfff]')
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\t"}
_REPLACEMENT = "\ufffd"


class Format(Enum):
    """A body format; the value is its Content-Type."""

    TEXT = "text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Section:
    """Families that read the same moment."""

    families: Sequence[Family[Any]]
    moment: Any


def chunks(sections: Iterable[Section], format_: Format) -> Iterator[bytes]:
    """The whole body, piece by piece; families sorted by name, rows in the order of their entity's ids."""
    texts = _LabelTexts()
    pairs = [(family, section.moment) for section in sections for family in section.families]
    for family, moment in sorted(pairs, key=lambda pair: pair[0].name):
        yield head(family, format_)
        ids = texts.ids(family, moment)
        labels = texts.labels(family, moment)
        for start in range(0, len(ids), ROWS_A_CHUNK):
            end = start + ROWS_A_CHUNK
            text = rows(family, moment, ids[start:end], labels[start:end], format_)
            if text:
                yield text.encode()
    if format_ is Format.OPENMETRICS:
        yield b"# EOF\n"


def whole(family: Family[Any], moment: object, format_: Format) -> bytes:
    """A family that has few rows, metadata lines and all."""
    texts = _LabelTexts()
    ids = texts.ids(family, moment)
    return head(family, format_) + rows(family, moment, ids, texts.labels(family, moment), format_).encode()


class _LabelTexts:
    """Ids and label texts, made once for all families that share them; a moment's fleet is walked once a kind."""

    def __init__(self) -> None:
        self._ids: dict[tuple[int, str], Sequence[str]] = {}
        self._labels: dict[tuple[object, ...], list[str]] = {}

    def ids(self, family: Family[Any], moment: object) -> Sequence[str]:
        key = (id(moment), family.entity.kind)
        if key not in self._ids:
            self._ids[key] = family.entity.ids(moment)
        return self._ids[key]

    def labels(self, family: Family[Any], moment: object) -> list[str]:
        key = (id(moment), family.entity.kind, family.labels, family.label_names, family.optional)
        if key not in self._labels:
            names, values = family.label_names, family.labels
            ids = self.ids(family, moment)
            if values is None:
                self._labels[key] = [""] * len(ids)
            else:
                self._labels[key] = [label_text(names, values(moment, i), family.optional) for i in ids]
        return self._labels[key]


def head(family: Family[Any], format_: Format) -> bytes:
    if format_ is Format.TEXT:
        name, help_ = family.name, family.help.replace("\\", "\\\\")
    else:
        name, help_ = family.base_name, escaped(family.help)
    return f"# HELP {name} {help_}\n# TYPE {name} {family.type}\n".encode()


def rows(family: Family[Any], moment: object, ids: Sequence[str], labels: Sequence[str], format_: Format) -> str:
    """The sample lines of these entities; ``labels`` are their label texts."""
    name, value = family.name, family.value
    if family.type is Type.HISTOGRAM:
        template = bucket_template(name, family.bounds, format_)
        return "".join(
            bucket_rows(name, label, value(moment, i), template) for i, label in zip(ids, labels, strict=True)
        )
    # Written in place for integers, which nearly all values are; the plus makes 1 of True.
    return "".join(
        [
            f"{name}{label} {+known}\n" if isinstance(known, int) else f"{name}{label}{tail(known)}"
            for i, label in zip(ids, labels, strict=True)
            if isinstance(known := value(moment, i), (int, float))
        ]
    )


def bucket_template(name: str, bounds: Sequence[float], format_: Format) -> str:
    """The bucket rows of one label set, with room for its counts; a NUL stands where its labels begin."""
    edges = [bound_text(bound, format_) for bound in (*bounds, math.inf)]
    return "".join([f'{name}_bucket\0le="{edge}"}} %d\n' for edge in edges])


def bucket_rows(name: str, label: str, value: Value, template: str) -> str:
    """All rows of one label set together, as OpenMetrics demands: buckets, then count, then sum."""
    if not isinstance(value, Histogram):
        return ""
    opened = f"{label[:-1]}," if label else "{"
    totals = tuple(accumulate(value.counts))
    buckets = (template % totals).replace("\0", opened)
    return f"{buckets}{name}_count{label} {totals[-1]}\n{name}_sum{label}{tail(value.sum)}"


def label_text(names: Sequence[str], values: Sequence[str], optional: Sequence[str] = ()) -> str:
    """``{name="value",...}``, escaped; kept by whoever writes a row more than once."""
    told = zip(names, values, strict=True)
    inner = ",".join([f'{name}="{escaped(value)}"' for name, value in told if value or name not in optional])
    return f"{{{inner}}}" if inner else ""


def tail(value: float) -> str:
    """What follows the labels of a sample line."""
    return f" {number(value)}\n"


def escaped(text: str) -> str:
    """A label value as both formats write it. Lone surrogates and control characters but tab and LF, which fail
    a scrape or trip tools behind it, become U+FFFD."""
    return text if _AWKWARD.search(text) is None else _AWKWARD.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    return _ESCAPES.get(found[0], _REPLACEMENT)


def number(value: float) -> str:
    """The shortest text that reads back as ``value``; whole numbers without a point, booleans as 1 and 0."""
    if isinstance(value, int):
        return str(int(value))
    if math.isfinite(value):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if math.isnan(value):
        return "NaN"
    return "+Inf" if value > 0 else "-Inf"


def bound_text(bound: float, format_: Format) -> str:
    """An upper bound as the format spells it: ``60`` in text 0.0.4, ``60.0`` in OpenMetrics; never change it."""
    if math.isinf(bound):
        return "+Inf"
    plain = number(bound)
    if format_ is Format.TEXT or not plain.lstrip("-").isdigit():
        return plain
    return f"{plain}.0"

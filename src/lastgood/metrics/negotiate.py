"""What a scraper asks for: body format, compression and vocabularies, from its headers and query.

Comes in: header and query text as sent. Goes out: our choice. The one rule: never turn a scraper away for its Accept
header; what fits nothing gets text 0.0.4. Follows RFC 9110 section 12 and what Prometheus 2.42 to 3.14 send.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl

from lastgood.metrics.text import Format

_OPENMETRICS = {"": 3, "1.0.0": 4, "0.0.1": 2}
_TEXT = {"": 3, "0.0.4": 4, "1.0.0": 2}
"""How closely a version that was asked for fits what we send; without a version any is meant."""

_MOST_FIELDS = 100
"""Vocabularies that a query may name; more is refused without being read."""


@dataclass(frozen=True, slots=True)
class _Wish:
    """How much the client likes something (q), and how exactly it named it; 0 means not named at all."""

    q: float = 0.0
    fit: int = 0


@dataclass(frozen=True, slots=True)
class Asked:
    """The vocabularies a query names, in our order, and the shard; ``fault`` is the sentence for a 400."""

    names: tuple[str, ...]
    shard: int | None = None
    fault: str | None = None


def body_format(accept: str) -> Format:
    """The format to answer with; ``accept`` is all Accept lines joined with commas, empty if there are none."""
    text = openmetrics = _Wish()
    for kind, parameters, q in _ranges(accept):
        version = parameters.get("version", "")
        if kind == "application/openmetrics-text":
            openmetrics = _closer(openmetrics, q, 2 + _OPENMETRICS[version] if version in _OPENMETRICS else 0)
        elif kind == "text/plain":
            text = _closer(text, q, 2 + _TEXT[version] if version in _TEXT else 0)
        elif kind == "application/*":
            openmetrics = _closer(openmetrics, q, 2)
        elif kind == "text/*":
            text = _closer(text, q, 2)
        elif kind == "*/*":
            text, openmetrics = _closer(text, q, 1), _closer(openmetrics, q, 1)
    if openmetrics.q <= 0 or openmetrics.q < text.q:
        return Format.TEXT
    # Equal liking: whoever named OpenMetrics can read it; a wildcard alone may be a person with a browser.
    named = openmetrics.fit > 2 and openmetrics.fit >= text.fit
    return Format.OPENMETRICS if openmetrics.q > text.q or named else Format.TEXT


def _closer(held: _Wish, q: float, fit: int) -> _Wish:
    """The wish that names us more exactly; of two that do so alike the stronger one."""
    return max(held, _Wish(q, fit), key=lambda wish: (wish.fit, wish.q)) if fit else held


def takes_gzip(accept_encoding: str) -> bool:
    """Whether a gzip body is welcome, and at least as welcome as an uncompressed one."""
    wishes = {coding: q for coding, _, q in _ranges(accept_encoding)}
    gzip = wishes.get("gzip", wishes.get("x-gzip", wishes.get("*", 0.0)))
    return gzip > 0 and gzip >= wishes.get("identity", 0.0)


def asked_page(query: str, known: Sequence[str], shards: int = 1) -> Asked:
    """What ``vocabulary=`` (all without it) and ``shard=k`` or ``k/n`` name; other fields are no business of ours."""
    try:
        fields = parse_qsl(query, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        return Asked((), fault=f"The query has more than {_MOST_FIELDS} fields.")
    wanted = {value for name, value in fields if name == "vocabulary"}
    strangers = sorted(wanted - set(known))
    if strangers:
        return Asked((), fault=f"There is no vocabulary {strangers[0][:100]!r}; known are {', '.join(known)}.")
    names = tuple(name for name in known if not wanted or name in wanted)
    asked = {value for name, value in fields if name == "shard"}
    if not asked:
        return Asked(names)
    shard = _shard(asked.pop(), shards) if len(asked) == 1 else None
    if shard is None:
        return Asked(
            (), fault=f"There is no such shard; metrics.shards is {shards}, so ask for one of 0 to {shards - 1}."
        )
    return Asked(names, shard)


def _shard(text: str, shards: int) -> int | None:
    """The number in ``k`` or ``k/n``; None unless it is one of ours."""
    number, _, of = text.partition("/")
    fits = number.isascii() and number.isdecimal() and len(number) < 10 and int(number) < shards
    return int(number) if fits and of in ("", str(shards)) else None


def _ranges(header: str) -> Iterator[tuple[str, dict[str, str], float]]:
    """(range, parameters, q) of each readable element; an element with a q that is no number is left out."""
    for element in _split(header, ","):
        kind, *rest = (part.strip(" \t") for part in _split(element, ";"))
        parameters: dict[str, str] = {}
        for part in rest:
            name, _, value = part.partition("=")
            parameters.setdefault(name.strip(" \t").lower(), value.strip(' \t"'))
        q = _quality(parameters.pop("q", "1"))
        if kind and q is not None:
            yield kind.lower(), parameters, q


def _quality(text: str) -> float | None:
    try:
        q = float(text)
    except ValueError:
        return None
    return q if 0 <= q <= 1 else None


def _split(text: str, mark: str) -> Iterator[str]:
    """The parts of ``text`` between marks that stand outside quotes."""
    start, quoted = 0, False
    for index, character in enumerate(text):
        if character == '"':
            quoted = not quoted
        elif character == mark and not quoted:
            yield text[start:index]
            start = index + 1
    yield text[start:]

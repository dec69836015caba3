"""Which metrics a PromQL expression names."""

from __future__ import annotations

import re

_KEYWORDS = {"and", "or", "unless", "bool", "offset", "NaN", "Inf", "inf", "nan"}
_NOT_METRICS = (
    re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)"),  # label names
    re.compile(r"\[[^]]*\]"),  # windows
)


def metrics(expression: str) -> set[str]:
    """Names of the metrics that an expression reads, those of a ``__name__`` matcher too."""
    matched = re.findall(r'__name__=~"([^"]*)"', expression)
    found = {name for names in matched for name in names.split("|")}
    rest = re.sub(r'"[^"]*"|\'[^\']*\'', "", expression)
    rest = re.sub(r"#.*", "", rest)
    rest = re.sub(r"\{[^}]*\}", " ", rest)
    for pattern in _NOT_METRICS:
        rest = pattern.sub(" ", rest)
    for name, called in re.findall(r"\b([A-Za-z_:][A-Za-z0-9_:]*)\b\s*(\()?", rest):
        if not called and name not in _KEYWORDS:
            found.add(name)
    return found

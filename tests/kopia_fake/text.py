"""JSON as Go prints it: compact or indented, ``&<>`` escaped, characters beyond ASCII as they are."""

from __future__ import annotations

import json
from typing import Any

_ESCAPES = (
    ("&", "\\u0026"),
    ("<", "\\u003c"),
    (">", "\\u003e"),
    ("\u2028", "\\u2028"),
    ("\u2029", "\\u2029"),
    ("�", "\\ufffd"),
)


def go(value: Any) -> str:
    return _escaped(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def indented(value: Any) -> str:
    """As the server encodes it, with the line end."""
    return _escaped(json.dumps(value, ensure_ascii=False, indent=2)) + "\n"


def _escaped(text: str) -> str:
    for plain, escape in _ESCAPES:
        if plain in text:
            text = text.replace(plain, escape)
    return text

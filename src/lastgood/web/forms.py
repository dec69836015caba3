"""Forms of pages: what a person wrote, read into values, and given back with the fault beside its field.

Comes in: urlencoded forms. Goes out: texts, lines, numbers; or ``Invalid`` with the field's name. The one rule: a
field that holds a secret is never given back.
"""

from __future__ import annotations

import math
from typing import Any

from litestar import Request

from lastgood.web.faults import Invalid

SECRETS = ("password", "environment")


async def fields(request: Request[Any, Any, Any]) -> dict[str, str]:
    """The fields of the form; line breaks as browsers write them become plain ones."""
    form = await request.form()
    return {key: value.replace("\r\n", "\n") for key, value in form.items() if isinstance(value, str)}


def given_back(said: dict[str, str]) -> dict[str, str]:
    """What a form may show again."""
    return {key: value for key, value in said.items() if key not in SECRETS}


def text(said: dict[str, str], field: str) -> str | None:
    """What stands in a field, None if that is nothing."""
    return said.get(field, "").strip() or None


def lines(said: dict[str, str], field: str) -> list[str]:
    """One entry a line; empty lines say nothing."""
    return [line.strip(" \t") for line in said.get(field, "").split("\n") if line.strip()]


def whole(said: dict[str, str], field: str) -> int:
    """A whole number; nothing is 0."""
    told = said.get(field, "").strip()
    if not told:
        return 0
    if not (told.isascii() and told.isdecimal()) or len(told) > 9:
        raise Invalid(field, f"{told[:20]!r} is no whole number; write for example 7.")
    return int(told)


def hours(said: dict[str, str], field: str) -> float | None:
    """A number of hours as seconds; None for nothing."""
    told = said.get(field, "").strip()
    if not told:
        return None
    try:
        count = float(told)
    except ValueError:
        count = math.nan
    if not math.isfinite(count) or count < 0:
        raise Invalid(field, f"{told[:20]!r} is no number of hours; write for example 26.")
    return count * 3600


def ticked(said: dict[str, str], field: str) -> bool:
    return field in said

"""Model values <-> JSON text, as the fact log, the state rows and the history keep them.

What equals its default is left out and comes back as the default, so a field may be added to a model class, with a
default, without touching what is stored. The one rule: what was encoded decodes to an equal value or was refused with
``ValueError``; there is no third way. Moments are RFC 3339, durations ISO 8601, as msgspec writes them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from math import isfinite
from operator import attrgetter
from typing import Any, TypeVar, get_args, get_type_hints

import msgspec

_T = TypeVar("_T")
_encoder = msgspec.json.Encoder()
_decoders: dict[Any, Any] = {}
_shapes: dict[type, Callable[[Any], Any]] = {}


def encode(value: Any) -> str:
    """The value as JSON text. Raises ValueError or TypeError for what could not be read back."""
    slim = _slim(value)
    try:
        return _encoder.encode(slim).decode()
    except UnicodeEncodeError:  # file names may hold lone surrogates, which UTF-8 has no bytes for
        return json.dumps(msgspec.to_builtins(slim), allow_nan=False, separators=(",", ":"))


def decoder(kind: type[_T]) -> Callable[[str], _T]:
    """A function that reads texts made by ``encode``; it raises ``msgspec.DecodeError`` for any other."""
    made: Callable[[str], _T] | None = _decoders.get(kind)
    if made is None:
        made = _decoders[kind] = _decoder(kind)
    return made


def _decoder(kind: type[_T]) -> Callable[[str], _T]:
    native = msgspec.json.Decoder(kind).decode

    def decode(text: str) -> _T:
        try:
            return native(text)
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:
            if "\\ud" not in text:
                raise
            return _decode_surrogates(text, kind)

    return decode


def _decode_surrogates(text: str, kind: type[_T]) -> _T:
    try:
        return msgspec.convert(json.loads(text), kind)
    except json.JSONDecodeError as error:
        raise msgspec.DecodeError(str(error)) from error


def _slim(value: Any) -> Any:
    """A dataclass as a struct that leaves defaults out when encoded, and so within it; anything else as it is."""
    if isinstance(value, tuple):
        return tuple(map(_slim, value))
    kind = type(value)
    build = _shapes.get(kind)
    if build is None:
        if not is_dataclass(kind):
            return value
        build = _shapes[kind] = _shape(kind)
    return build(value)


def _shape(kind: type[Any]) -> Callable[[Any], Any]:
    """How values of this dataclass become structs; worked out once a class."""
    hints = get_type_hints(kind)
    ordered = sorted(fields(kind), key=lambda field: field.default is not MISSING)
    names = [field.name for field in ordered]
    struct = msgspec.defstruct(
        kind.__name__,
        [(f.name, Any) if f.default is MISSING else (f.name, Any, f.default) for f in ordered],
        omit_defaults=True,
    )
    nested = [index for index, name in enumerate(names) if _holds_dataclass(hints[name])]
    floats = [index for index, name in enumerate(names) if float in (hints[name], *get_args(hints[name]))]
    pick: Callable[[Any], tuple[Any, ...]] = attrgetter(*names) if len(names) > 1 else _lone(names[0])

    def build(value: Any) -> Any:
        picked = pick(value)
        if nested or floats:
            parts = list(picked)
            for index in nested:
                if parts[index] is not None:
                    parts[index] = _slim(parts[index])
            for index in floats:
                if parts[index] is not None and not isfinite(parts[index]):
                    raise ValueError(f"{names[index]} is {parts[index]}, which JSON cannot hold")
            return struct(*parts)
        return struct(*picked)

    return build


def _lone(name: str) -> Callable[[Any], tuple[Any, ...]]:
    return lambda value: (getattr(value, name),)


def _holds_dataclass(hint: Any) -> bool:
    return is_dataclass(hint) or any(_holds_dataclass(part) for part in get_args(hint))

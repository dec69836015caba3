"""What a single setting may hold: the types behind the fields of ``settings.py``, and text turned into them.

Comes in: a raw value from a file, the environment or the command line. Goes out: the typed value, or a
``ValueError`` whose text ends the sentence "NAME ...". The one rule: the text of a secret is in no message.
Networks follow Python's ``ipaddress``; host bits are refused rather than guessed away.
"""

from __future__ import annotations

import re
import reprlib
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin
from urllib.parse import urlsplit

import msgspec

from lastgood.secret import Secret

Network = IPv4Network | IPv6Network

_LISTEN = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.%\w]{1,100})\]|(?P<host>[^\s:\[\]]{0,253})):(?P<port>[0-9]{1,5})")
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?|\[[0-9A-Fa-f:.]+\]")
_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}
_PART = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)\s*(s|min|m|h|d|w)", re.ASCII)
_SPAN = re.compile(rf"(?:{_PART.pattern}\s*)+", re.ASCII)
_MOST_SECONDS = 3660 * 86400
_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxother, _SHORT.maxlong = 2, 100, 100, 100
_FLAGS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}


@dataclass(frozen=True, slots=True)
class Listen:
    """Where to listen; an empty host means every interface, as ``create_server`` takes it."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def reachable(self) -> Listen:
        """Where this machine itself reaches what listens here."""
        host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104
        return Listen(host, self.port)


class Url(str):
    """An http or https address without path, query, user or trailing slash."""

    __slots__ = ()

    @property
    def scheme(self) -> str:
        return urlsplit(self).scheme


def parse(kind: Any, raw: object, *, textual: bool) -> Any:
    """The value of type ``kind`` that ``raw`` stands for.

    ``textual`` holds for the environment and the command line, where numbers and flags arrive as text.
    """
    inner = bare_type(kind)
    if get_origin(inner) is tuple:
        of_texts = str in get_args(inner)
        return tuple(map(_pattern if of_texts else network, _items(raw, "texts" if of_texts else "networks")))
    if get_origin(inner) is Mapping:
        return _lengths(raw)
    if inner is bool:
        return _flag(raw, textual)
    if inner is int or get_origin(inner) is Literal:
        return _converted(kind, raw, textual)
    if not isinstance(raw, str):
        raise ValueError(f"must be {words(kind)} written as text, in quotes")
    if not raw.strip():
        raise ValueError("is empty: leave the name out, or give it a value")
    return _TEXT[inner](raw)


def words(kind: Any) -> str:
    """What a person is told that a setting of this type holds."""
    inner = bare_type(kind)
    if get_origin(inner) is tuple:
        return "a list of patterns" if str in get_args(inner) else "a list of networks"
    if get_origin(inner) is Mapping:
        return "a table of pattern = length of time"
    if get_origin(inner) is Literal:
        return "one of " + ", ".join(map(str, get_args(inner)))
    if inner is int:
        most = next((m.le for m in getattr(kind, "__metadata__", ()) if isinstance(m, msgspec.Meta) and m.le), None)
        return f"a whole number of {_least(kind)} or more" + (f", at most {most}" if most is not None else "")
    return _WORDS[inner]


def _least(kind: Any) -> int:
    """The least whole number that a setting takes."""
    bounds = (part.ge for part in getattr(kind, "__metadata__", ()) if isinstance(part, msgspec.Meta))
    return next((int(bound) for bound in bounds if bound is not None), 1)


def _short(raw: object) -> str:
    """How a value is repeated to a person: some of it, however large or nested it is."""
    try:
        return _SHORT.repr(raw)
    except ValueError:  # a whole number of more digits than may be written out
        return "that number"


def bare_type(kind: Any) -> Any:
    """``kind`` without its annotation and without "or None"."""
    if hasattr(kind, "__metadata__"):
        kind = kind.__origin__
    if get_origin(kind) in (Union, types.UnionType):
        (kind,) = (part for part in get_args(kind) if part is not type(None))
    return kind


def shown(value: object) -> str:
    """A typed value as it is written in a file or a variable; secrets masked, None as an empty text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ", ".join(map(shown, value))
    if isinstance(value, Mapping):
        return ", ".join(f"{pattern}={_length(seconds)}" for pattern, seconds in value.items())
    return str(value)


def network(raw: object) -> Network:
    """A network, or a single address as the network of itself; IPv4 written as mapped IPv6 becomes IPv4."""
    if not isinstance(raw, str):
        raise ValueError(f"holds {_short(raw)}, which is not a network such as 10.0.0.0/8")
    text = raw.strip()
    try:
        loose = ip_network(text, strict=False)
        exact = "/" not in text or ip_address(text.partition("/")[0]) == loose.network_address
    except ValueError:
        raise ValueError(f"holds {_short(text)}, which is not a network such as 10.0.0.0/8 or fd00::/8") from None
    found: Network = loose
    if isinstance(loose, IPv6Network) and loose.network_address.ipv4_mapped and loose.prefixlen >= 96:
        found = IPv4Network((loose.network_address.ipv4_mapped, loose.prefixlen - 96))
    if not exact:
        raise ValueError(f"holds {text}, which has host bits set: write {found}, or the address without a mask")
    return found


def _items(raw: object, what: str) -> Iterable[object]:
    if isinstance(raw, str):
        return [item for item in raw.split(",") if item.strip()]
    if isinstance(raw, list):
        return raw
    raise ValueError(f"must be a list of {what}")


def _pattern(raw: object) -> str:
    if not isinstance(raw, str) or not raw.strip():
        raise ValueError(f"holds {_short(raw)}, which is not a pattern such as vm/100 or ct/*")
    return raw.strip()


def _lengths(raw: object) -> dict[str, float]:
    """A table of pattern and length of time, or ``PATTERN=LENGTH, ...`` as a variable has it."""
    if isinstance(raw, str):
        pairs = [item.rpartition("=")[::2] for item in raw.split(",") if item.strip()]
        raw = dict(pairs)
        if len(raw) != len(pairs):
            raise ValueError("names a pattern twice")
    if not isinstance(raw, Mapping):
        raise ValueError('must be a table of pattern and length of time, such as "vm/*" = "26h"')
    return {_pattern(pattern): _seconds(length) for pattern, length in raw.items()}


def _seconds(raw: object) -> float:
    text = raw.strip().lower() if isinstance(raw, str) else ""
    if not _SPAN.fullmatch(text):
        raise ValueError(f"holds {_short(raw)}, which is no length of time; write for example 90min, 26h, 2d or 1w")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    if not 0 < seconds <= _MOST_SECONDS:
        raise ValueError(f"holds {_short(raw)}; a length of time is more than nothing and at most 3660d")
    return seconds


def _length(seconds: float) -> str:
    """A length of time as it is written."""
    unit, size = next(((u, n) for u, n in reversed(_UNITS.items()) if n <= seconds and seconds % n == 0), ("s", 1))
    return f"{seconds / size:g}{unit}"


def _flag(raw: object, textual: bool) -> bool:
    if isinstance(raw, bool):
        return raw
    if textual and isinstance(raw, str) and raw.strip().lower() in _FLAGS:
        return _FLAGS[raw.strip().lower()]
    quotes = "" if textual else " without quotes"
    raise ValueError(f"must be true or false{quotes}, not {_short(raw)}")


def _converted(kind: Any, raw: object, textual: bool) -> Any:
    candidate = raw.strip() if textual and isinstance(raw, str) else raw
    try:
        return msgspec.convert(candidate, kind, strict=not textual)
    except msgspec.ValidationError:
        raise ValueError(f"must be {words(kind)}, not {_short(raw)}") from None


def _listen(text: str) -> Listen:
    match = _LISTEN.fullmatch(text.strip())
    if match is None or int(match["port"]) > 65535:
        raise ValueError(f"is {_short(text)}, not an address and port such as 127.0.0.1:8080, [::1]:8080 or :8080")
    return Listen(match["v6"] or match["host"] or "", int(match["port"]))


def _url(text: str) -> Url:
    trimmed = text.strip().rstrip("/")
    try:
        parts = urlsplit(trimmed)
        host, _, _ = parts.netloc.rpartition(":") if parts.port is not None else (parts.netloc, "", "")
    except ValueError:
        parts, host = urlsplit(""), ""
    if parts.scheme not in ("http", "https") or not _HOST.fullmatch(host):
        raise ValueError("must be an address such as https://backup.example.org, without user and password")
    if parts.path or parts.query or parts.fragment:
        raise ValueError(f"must have no path, since pages stand at the root: write {parts.scheme}://{parts.netloc}")
    return Url(f"{parts.scheme}://{parts.netloc.lower()}")


def _path(text: str) -> Path:
    if "\0" in text:
        raise ValueError("is not a path")
    return Path(text)


_TEXT: dict[Any, Callable[[str], Any]] = {Listen: _listen, Url: _url, Path: _path, Secret: Secret, str: str.strip}
_WORDS: dict[Any, str] = {
    Listen: "an address and port",
    Url: "an http or https address",
    Path: "a path",
    Secret: "a secret",
    bool: "true or false",
    str: "text",
}

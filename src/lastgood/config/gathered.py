"""Servers to collect from, made of the entries of file and environment: which there are, and what cannot work.

Comes in: entries, and who decides between them. Goes out: ``Servers``. The one rule: a server of which anything is
said must be whole; half of one is refused, never left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from lastgood.config.entries import Entry
from lastgood.config.registry import SERVER_SETTINGS, Setting, named
from lastgood.config.servers import SERVER_KINDS, ServerKind, Servers
from lastgood.config.values import shown
from lastgood.errors import ConfigError

Decide = Callable[[Setting], Any]
"""Answers the value in force, None if nobody gives one, and notes where it came from."""

DEFAULT = "default"


def gathered(
    layers: Iterable[Sequence[Entry]],
    decide: Decide,
    origins: Mapping[str, str],
    defaults: Mapping[str, Any] | None = None,
) -> Servers:
    """All servers. ``defaults`` are other ones than the structs have. Raises ConfigError."""
    entries = [entry for layer in layers for entry in layer]
    return Servers(
        **{kind.section: tuple(_servers(kind, entries, decide, origins, defaults)) for kind in SERVER_KINDS}
    )


def risks(servers: Servers) -> list[str]:
    """Sentences about servers that work and are not safe."""
    return [
        f"{_section(kind, server.name)}.{risk}."
        for kind in SERVER_KINDS
        for server in getattr(servers, kind.section)
        if (risk := kind.risk(server)) is not None
    ]


def _servers(
    kind: ServerKind,
    entries: Sequence[Entry],
    decide: Decide,
    origins: Mapping[str, str],
    defaults: Mapping[str, Any] | None,
) -> list[Any]:
    settings = SERVER_SETTINGS[kind.section]
    below = f"{kind.section}.{kind.several}."
    spoken_of = dict.fromkeys(entry.setting.section for entry in entries)
    names = [name.removeprefix(below) for name in spoken_of if name.startswith(below)]
    servers = []
    if kind.section in spoken_of:
        server = _server(kind, "", settings, decide, origins, defaults)
        servers += [server] if server is not None else []
    for name in names:
        server = _server(
            kind, name, [named(setting, kind.several, name) for setting in settings], decide, origins, defaults
        )
        servers += [server] if server is not None else []
    _refuse_twins(kind, servers)
    return servers


def _server(
    kind: ServerKind,
    name: str,
    settings: Sequence[Setting],
    decide: Decide,
    origins: Mapping[str, str],
    defaults: Mapping[str, Any] | None,
) -> Any:
    """The server; None if everything that is said of it is empty."""
    values = {setting.key: value for setting in settings if (value := decide(setting)) is not None}
    if not values:
        return None
    section = _section(kind, name)
    if lacking := [setting.name for setting in settings if setting.unset == "needed" and setting.key not in values]:
        raise ConfigError(f"[{section}] lacks {' and '.join(lacking)}; give it, or take the section away.")
    server = kind.struct(name=name, **{**(defaults or {}), **values})
    if (fault := kind.fault(server)) is not None:
        key = fault.partition(" ")[0]
        raise ConfigError(f"{section}.{fault} ({origins.get(f'{section}.{key}', DEFAULT)}).")
    return server


def _refuse_twins(kind: ServerKind, servers: Sequence[Any]) -> None:
    """Two names that differ in case would be one thing to people; one server twice would be every source twice."""
    by_name: dict[str, str] = {}
    by_endpoint: dict[str, str] = {}
    for server in servers:
        endpoint = shown(getattr(server, kind.address)).lower().rstrip("/")
        for held, key, what in ((by_name, server.name.casefold(), "called"), (by_endpoint, endpoint, "at")):
            if key in held:
                one, other = held[key], _section(kind, server.name)
                same = server.name if what == "called" else endpoint
                raise ConfigError(f"[{one}] and [{other}] are both {what} {same}; keep one of them.")
            held[key] = _section(kind, server.name)


def _section(kind: ServerKind, name: str) -> str:
    return f"{kind.section}.{kind.several}.{name}" if name else kind.section

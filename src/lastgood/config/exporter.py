"""Settings of the stand-alone exporters: the names, defaults and file of pbs-exporter, unchanged.

Comes in: the environment and perhaps a file. Goes out: ``ExporterSettings``. Environment > file > default, as there.
The one rule: what works for pbs-exporter works here; what the hub has besides (``ca_file``, ``fingerprint``,
``archived``, several servers, who may scrape) may stand beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from lastgood.config.document import parse_document
from lastgood.config.entries import (
    ENVIRONMENT,
    Entry,
    environment_names,
    file_names,
    nearest,
    said,
    server_entries,
)
from lastgood.config.gathered import DEFAULT, gathered, risks
from lastgood.config.load import ReadFile, decided, read_disk
from lastgood.config.names import ONE_UNDERSCORE, Alias
from lastgood.config.registry import SERVER_SETTINGS, SETTINGS, Setting, settings_of
from lastgood.config.servers import SERVER_KINDS, Servers
from lastgood.config.settings import MetricsSettings
from lastgood.config.values import Listen
from lastgood.errors import ConfigError

PREFIX = "PBS_EXPORTER__"
RUST_LOG = "RUST_LOG"
_LEVEL = re.compile(r"(?:^|[=,])\s*(trace|debug|info|warn|error)\b", re.IGNORECASE)


class ExporterSection(Struct, frozen=True, kw_only=True):
    """``[exporter]`` of the file."""

    listen_address: Annotated[Listen, Meta(description="Address and port to listen on.")] = Listen(
        "0.0.0.0",  # noqa: S104 - the port is there to be scraped
        9101,
    )
    log_level: Annotated[
        Literal["trace", "debug", "info", "warn", "warning", "error"],
        Meta(description="The least severity that is logged."),
    ] = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExporterSettings:
    """``log_level`` is one of debug, info, warning, error; ``metrics`` says who may scrape."""

    servers: Servers
    listen: Listen
    log_level: str
    metrics: MetricsSettings
    warnings: list[str]


def _named_there(setting: Setting) -> Setting:
    name = f"{PREFIX}EXPORTER__{setting.key}".upper()
    return replace(setting, env_aliases=(Alias(name, setting.name, "pbs-exporter"),))


_EXPORTER = tuple(map(_named_there, settings_of("exporter", ExporterSection)))
_METRICS_KEYS = ("token", "networks", "auth", "natrontech")
_METRICS = tuple(s for s in SETTINGS if s.section == "metrics" and s.key in _METRICS_KEYS)
_SERVERS = tuple(setting for some in SERVER_SETTINGS.values() for setting in some)
DEFAULTS = {"verify_tls": False}
"""Where the exporter differs from the hub."""


def load_exporter(
    environ: Mapping[str, str], path: Path | str | None = None, read_file: ReadFile = read_disk
) -> ExporterSettings:
    """The settings in force. Raises ConfigError for anything an operator must mend."""
    from_env, warnings = _from_environment(environ)
    layers = (from_env, _from_file(Path(path), read_file) if path is not None else [])
    origins: dict[str, str] = {}

    def decide(setting: Setting) -> Any:
        value, origins[setting.name] = decided(setting, layers, read_file) or (None, DEFAULT)
        return value

    own = ExporterSection(**_values(_EXPORTER, decide))
    metrics = MetricsSettings(**_values(_METRICS, decide))
    servers = gathered(layers, decide, origins, DEFAULTS)
    if not any(getattr(servers, kind.section) for kind in SERVER_KINDS):
        raise ConfigError(
            "No server is configured; set PBS_EXPORTER__PBS__ENDPOINT, _TOKEN_ID and _TOKEN_SECRET, or name a file "
            "with a section [pbs] by --config."
        )
    level, told = _level(own.log_level, environ.get(RUST_LOG, ""))
    return ExporterSettings(
        servers=servers,
        listen=own.listen_address,
        log_level=level,
        metrics=metrics,
        warnings=[*warnings, *told, *risks(servers)],
    )


def _values(settings: Iterable[Setting], decide: Any) -> dict[str, Any]:
    return {setting.key: value for setting in settings if (value := decide(setting)) is not None}


def _from_environment(environ: Mapping[str, str]) -> tuple[list[Entry], list[str]]:
    known = environment_names((*_SERVERS, *_EXPORTER, *_METRICS))
    # The second name that seed pages show, for the exporter's own settings too.
    spellings = ONE_UNDERSCORE | {
        name.replace("__", "_"): name for name in known if name.startswith(f"{PREFIX}EXPORTER__")
    }
    entries, warnings = [], []
    for name in sorted(environ):
        if name in known:
            entries.append(known[name](environ[name]))
        elif name in spellings:
            entries.append(replace(known[spellings[name]](environ[name]), name=name))
            warnings.append(f"The {ENVIRONMENT} variable {name} is read as {spellings[name]}; write it so.")
        elif name.startswith("PBS_EXPORTER_"):
            near = nearest(name, known)
            warnings.append(
                f"The {ENVIRONMENT} variable {name} is not read{f'; did you mean {near}?' if near else '.'}"
            )
    return entries, warnings


def _from_file(path: Path, read_file: ReadFile) -> list[Entry]:
    try:
        content = read_file(path)
    except OSError as fault:
        reason = (fault.strerror or type(fault).__name__).lower()
        raise ConfigError(f"Cannot read {path}, named by --config: {reason}; check the path.") from None
    known = file_names((*_EXPORTER, *_METRICS))
    sections = {kind.section: kind for kind in SERVER_KINDS}
    entries: list[Entry] = []
    for top, value in parse_document(path, content).items():
        if top in sections:
            entries += server_entries(sections[top], value, str(path))
            continue
        if top not in ("exporter", "metrics") or not isinstance(value or {}, Mapping):
            near = nearest(top, [*sections, "exporter", "metrics"])
            raise ConfigError(
                f"{path}: {top!r} is no section of it; {f'did you mean {near}?' if near else 'leave it out.'}"
            )
        for key, raw in (value or {}).items():
            name = f"{top}.{key}"
            if name not in known:
                near = nearest(name, known)
                raise ConfigError(f"{path}: {name!r} is not a setting; did you mean {near or 'another one'}?")
            entries.append(known[name](raw, str(path)))
    return said(entries)


def _level(configured: str, rust_log: str) -> tuple[str, list[str]]:
    """The log level; a filter in ``RUST_LOG`` wins, as there, and of it the last level that it names."""
    words = {"trace": "debug", "warn": "warning"}
    told = []
    if rust_log.strip():
        if levels := _LEVEL.findall(rust_log):
            configured = levels[-1].lower()
        else:
            told = [f"RUST_LOG names none of trace, debug, info, warn, error, so {configured} is logged."]
    return words.get(configured, configured), told

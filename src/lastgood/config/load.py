"""Settings from command line, environment and file: who wins, what is refused, where each value came from.

Comes in: the environment, a reader of files and the path given by ``--config``. Goes out: ``Loaded``, from which
everything else works. The one rule: this is the only place below the edges that reads files (the key file has
its own), and one value decides each setting: two sayings that differ are an error, never a silent choice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from lastgood.config.checks import refuse_contradictions, warn
from lastgood.config.document import parse_document
from lastgood.config.entries import Entry, from_environment, from_file, from_options, is_guard
from lastgood.config.gathered import gathered, risks
from lastgood.config.names import FILE_SUFFIX
from lastgood.config.registry import SECTIONS, SERVER_SETTINGS, SETTINGS, Setting
from lastgood.config.servers import SERVER_KINDS
from lastgood.config.settings import Settings
from lastgood.config.values import parse, shown
from lastgood.errors import ConfigError
from lastgood.secret import Secret

ReadFile = Callable[[Path], bytes]
"""Answers a file's bytes or raises OSError."""

DEFAULT = "default"
LARGEST_FILE = 1024 * 1024
USUAL_PLACES = (Path("/etc/lastgood/lastgood.toml"), Path("/etc/lastgood/lastgood.yaml"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """The effective settings, where each came from, and what an operator should know about them."""

    settings: Settings
    origins: dict[str, str]
    warnings: list[str]


class CheckRow(NamedTuple):
    """One line of ``check-config``."""

    name: str
    value: str
    origin: str


def read_disk(path: Path) -> bytes:
    """The reader for everyday use. Raises ConfigError for a file that no settings would fill."""
    with path.open("rb") as file:
        content = file.read(LARGEST_FILE + 1)
    if len(content) > LARGEST_FILE:
        raise ConfigError(f"{path} is larger than 1 MiB; name a file of settings, or one with a single secret.")
    return content


def load(
    environ: Mapping[str, str],
    read_file: ReadFile = read_disk,
    argv_config_path: str | None = None,
    *,
    options: Mapping[str, object] | None = None,
) -> Loaded:
    """The settings in force; ``options`` are values of the command line by setting name, which beat all others.

    Raises ConfigError for anything an operator must mend.
    """
    from_env, warnings = from_environment(environ)
    layers = (from_options(options or {}), from_env, _file_entries(environ, read_file, argv_config_path))
    values: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
    origins = {}

    def decide(setting: Setting) -> Any:
        value, origins[setting.name] = decided(setting, layers, read_file) or (None, DEFAULT)
        return value

    for setting in SETTINGS:
        value = decide(setting)
        if origins[setting.name] != DEFAULT:
            values[setting.section][setting.key] = value
    sections = {name: type(default)(**values[name]) for name, default in _default_sections().items()}
    settings = Settings(**sections, servers=gathered(layers, decide, origins))
    refuse_contradictions(settings, origins)
    return Loaded(
        settings=settings, origins=origins, warnings=warnings + warn(settings, origins) + risks(settings.servers)
    )


def decided(setting: Setting, layers: Iterable[Sequence[Entry]], read_file: ReadFile) -> tuple[Any, str] | None:
    """The value in force and where it came from; None if nobody gives one."""
    for layer in layers:
        found = _agreed([entry for entry in layer if entry.setting == setting], read_file)
        if found is not None:
            return found
    return None


def settings_file(environ: Mapping[str, str], argv_config_path: str | None = None) -> Path | None:
    """The settings file that ``load`` reads; None if there is none."""
    chosen = argv_config_path or environ.get("LASTGOOD_CONFIG") or None
    return Path(chosen) if chosen is not None else next((path for path in USUAL_PLACES if path.exists()), None)


def render_check(loaded: Loaded) -> list[CheckRow]:
    """The effective tree as rows, secrets masked; an unset value reads as the words of what then happens."""
    rows = []
    for setting in SETTINGS:
        value = getattr(getattr(loaded.settings, setting.section), setting.key)
        text = shown(value) or f"({setting.unset.replace('`', '')})"
        rows.append(CheckRow(setting.name, text, loaded.origins[setting.name]))
    for kind in SERVER_KINDS:
        for server in getattr(loaded.settings.servers, kind.section):
            prefix = f"{kind.section}.{kind.several}.{server.name}" if server.name else kind.section
            for setting in SERVER_SETTINGS[kind.section]:
                text = shown(getattr(server, setting.key)) or f"({setting.unset.replace('`', '')})"
                rows.append(CheckRow(f"{prefix}.{setting.key}", text, loaded.origins[f"{prefix}.{setting.key}"]))
    return rows


def _default_sections() -> dict[str, Any]:
    return {name: getattr(Settings(), name) for name in SECTIONS}


def _file_entries(environ: Mapping[str, str], read_file: ReadFile, argv_path: str | None) -> list[Entry]:
    chosen = argv_path or environ.get("LASTGOOD_CONFIG") or None
    if chosen is not None:
        path = Path(chosen)
        try:
            content = read_file(path)
        except OSError as fault:
            raise ConfigError(_unreadable(path, fault, "the settings file named by the operator")) from None
        return from_file(path, parse_document(path, content))
    present = []
    for path in USUAL_PLACES:
        try:
            present.append((path, read_file(path)))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as fault:
            raise ConfigError(_unreadable(path, fault, "the settings file")) from None
    if len(present) > 1:
        both = " and ".join(str(path) for path, _ in present)
        raise ConfigError(f"There are two settings files, {both}; keep one, or name one with --config.")
    return [entry for path, content in present for entry in from_file(path, parse_document(path, content))]


def _agreed(entries: list[Entry], read_file: ReadFile) -> tuple[Any, str] | None:
    """The one value that ``entries`` give, with its origin; None if they give none."""
    heard: list[tuple[Entry, Any]] = []
    for entry in entries:
        for other in entries:
            if other.by_file and not entry.by_file and other.name == _file_name(entry):
                raise ConfigError(f"{entry.name} and {other.name} are both set; keep one of them.")
        if _says_nothing(entry):
            continue
        value = _value(entry, read_file)
        if heard and heard[0][1] != value:
            first = heard[0][0]
            raise ConfigError(
                f"{first.name} and {entry.name} both set {entry.setting.name}, to different values; keep one of them."
            )
        heard.append((entry, value))
    return (heard[0][1], heard[0][0].origin) if heard else None


def _file_name(entry: Entry) -> str:
    return entry.name + (FILE_SUFFIX if entry.textual else FILE_SUFFIX.lower())


def _says_nothing(entry: Entry) -> bool:
    """An empty variable is as good as none, but for guards: there somebody meant to shut a door."""
    empty = entry.raw is None or (isinstance(entry.raw, str) and not entry.raw.strip(" \t,"))
    if empty and is_guard(entry.setting):
        raise ConfigError(f"{entry.origin} is empty; leave the name out, or give it a value.")
    return empty and entry.textual


def _value(entry: Entry, read_file: ReadFile) -> Any:
    try:
        if entry.by_file:
            return _secret_from_file(entry, read_file)
        raw = entry.read(entry.raw) if isinstance(entry.raw, str) else entry.raw
        return parse(entry.setting.kind, raw, textual=entry.textual)
    except ValueError as fault:
        name = "" if entry.origin.endswith(entry.setting.name) else f" ({entry.setting.name})"
        raise ConfigError(f"{entry.origin}{name} {fault}.") from None


def _secret_from_file(entry: Entry, read_file: ReadFile) -> Secret:
    if not isinstance(entry.raw, str) or not entry.raw.strip():
        raise ValueError("must be the path of a file")
    path = Path(entry.raw.strip())
    try:
        text = read_file(path).decode("utf-8").rstrip("\r\n")
    except OSError as fault:
        raise ConfigError(_unreadable(path, fault, f"named by {entry.origin}")) from None
    except UnicodeDecodeError:
        raise ValueError(f"names {path}, which is not UTF-8 text") from None
    if not text.strip():
        raise ValueError(f"names {path}, which is empty: write the secret into it")
    return Secret(text)


def _unreadable(path: Path, fault: OSError, what: str) -> str:
    reason = (fault.strerror or type(fault).__name__).lower()
    return f"Cannot read {path}, {what}: {reason}; check the path and the permissions of the file."

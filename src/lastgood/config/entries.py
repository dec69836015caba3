"""Who says what: each raw value found in the environment or in a file, under the name it was found by.

Comes in: the environment, or the tree of a file. Goes out: entries by setting, and warnings; ``load.py`` decides
between them. The one rule: a name that looks like ours and is none is never passed over in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from lastgood.config.names import (
    FILE_SUFFIX,
    FOREIGN_PREFIXES,
    NOT_SETTINGS,
    ONE_UNDERSCORE,
    PREFIX,
    TEST_PREFIX,
    as_written,
)
from lastgood.config.registry import BY_NAME, SECTIONS, SERVER_SETTINGS, SETTINGS, Setting, named
from lastgood.config.servers import SERVER_KINDS, SERVER_NAME, ServerKind
from lastgood.errors import ConfigError

ENVIRONMENT = "environment"
COMMAND_LINE = "command line"
_LONGEST_NAME = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One raw value and where it stands; ``by_file`` says that it is the path of a file with the secret."""

    setting: Setting
    name: str
    place: str
    raw: Any
    textual: bool
    by_file: bool = False
    read: Callable[[str], str] = as_written

    @property
    def origin(self) -> str:
        if self.place == COMMAND_LINE:
            return COMMAND_LINE
        return f"{self.place} {self.name}" if self.place == ENVIRONMENT else f"{self.place}: {self.name}"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that ``name`` was probably meant to be, None if nothing comes near."""
    # Without the prefix that all share, which would make any two names alike.
    bare = {each.removeprefix(PREFIX): each for each in known}
    matches = get_close_matches(name.removeprefix(PREFIX), bare, n=1, cutoff=0.6)
    return bare[matches[0]] if matches else None


def from_environment(environ: Mapping[str, str]) -> tuple[list[Entry], list[str]]:
    """Entries of the environment, and warnings about names that are probably misspelt."""
    known = environment_names((*SETTINGS, *(each for some in SERVER_SETTINGS.values() for each in some)))
    entries, warnings = [], []
    for name in sorted(environ):
        if name in known:
            entries.append(known[name](environ[name]))
        elif name in ONE_UNDERSCORE:
            meant = ONE_UNDERSCORE[name]
            entries.append(replace(known[meant](environ[name]), name=name))
            warnings.append(f"The environment variable {name} is read as {meant}; write it so.")
        elif name.startswith(PREFIX) and not name.startswith(TEST_PREFIX) and name not in NOT_SETTINGS:
            if "__" in name:
                raise ConfigError(f"The environment variable {name} names no setting; {_meant(name, known)}")
            warnings.append(f"The environment variable {name} is not read; {_meant(name, known)}")
        elif name.startswith(FOREIGN_PREFIXES) and (near := get_close_matches(name, known, n=1, cutoff=0.85)):
            warnings.append(f"The environment variable {name} is not read; did you mean {near[0]}?")
    return entries, warnings


def from_file(path: Path, tree: Mapping[str, Any]) -> list[Entry]:
    """Entries of a file; an unknown key is refused with the name that was probably meant."""
    known = file_names(SETTINGS)
    entries = []
    for top, value in tree.items():
        if top in known:
            entries.append(known[top](value, str(path)))
        elif top in SERVER_SETTINGS:
            kind = next(kind for kind in SERVER_KINDS if kind.section == top)
            entries.extend(server_entries(kind, value, str(path)))
        elif top == "exporter":
            raise ConfigError(
                f"{path}: [exporter] is read by lastgood exporter alone, from its own --config; take the section out."
            )
        elif top not in SECTIONS:
            raise ConfigError(
                f"{path}: {_named(top)} is not known; {_meant(top, [*SECTIONS, *SERVER_SETTINGS, *known])}"
            )
        elif value is not None and not isinstance(value, Mapping):
            raise ConfigError(f"{path}: {top} is a section; write its settings below it.")
        else:
            for key, raw in (value or {}).items():
                name = f"{top}.{key}"
                if name not in known:
                    raise ConfigError(f"{path}: {_named(name)} is not a setting; {_meant(name, known)}")
                entries.append(known[name](raw, str(path)))
    return said(entries)


def said(entries: Iterable[Entry]) -> list[Entry]:
    """In YAML a key without a value says nothing; a secret or a fence without one is refused later."""
    return [entry for entry in entries if entry.raw is not None or is_guard(entry.setting)]


def server_entries(kind: ServerKind, tree: Any, path: str) -> list[Entry]:
    """Entries of one section of servers: the unnamed one, and those with names below it."""
    settings = SERVER_SETTINGS[kind.section]
    below = f"{kind.section}.{kind.several}"
    tree = _section(tree, kind.section, path)
    several = _section(tree.get(kind.several), below, path)
    entries = _entries(kind.section, {key: raw for key, raw in tree.items() if key != kind.several}, settings, path)
    for name, keys in several.items():
        if not SERVER_NAME.fullmatch(str(name)):
            raise ConfigError(
                f"{path}: {_named(f'{below}.{name}')} is no name of a server; begin it with a letter or a digit, and "
                "go on with those, -, _ and ."
            )
        section = f"{below}.{name}"
        entries += _entries(
            section,
            _section(keys, section, path),
            [named(setting, kind.several, str(name)) for setting in settings],
            path,
        )
    return entries


def _section(value: Any, name: str, path: str) -> Mapping[Any, Any]:
    if value is not None and not isinstance(value, Mapping):
        raise ConfigError(f"{path}: {_named(name)} is a section; write its settings below it.")
    return value or {}


def _entries(section: str, tree: Mapping[Any, Any], settings: Iterable[Setting], path: str) -> list[Entry]:
    known = file_names(settings)
    found = []
    for key, raw in tree.items():
        name = f"{section}.{key}"
        if name not in known:
            raise ConfigError(f"{path}: {_named(name)} is not a setting; {_meant(name, known)}")
        found.append(known[name](raw, path))
    return found


def from_options(options: Mapping[str, object]) -> list[Entry]:
    """Entries of the command line, by setting name."""
    return [
        Entry(setting=BY_NAME[name], name=name, place=COMMAND_LINE, raw=raw, textual=True)
        for name, raw in options.items()
    ]


def is_guard(setting: Setting) -> bool:
    """Whether an empty value would leave a door open that somebody meant to shut."""
    return setting.secret or setting.name == "metrics.networks"


def environment_names(settings: Iterable[Setting]) -> dict[str, Callable[[str], Entry]]:
    """What each name in the environment says."""

    def entry(setting: Setting, name: str, by_file: bool, read: Callable[[str], str]) -> Callable[[str], Entry]:
        return lambda raw: Entry(
            setting=setting, name=name, place=ENVIRONMENT, raw=raw, textual=True, by_file=by_file, read=read
        )

    names = {}
    for setting in settings:
        readers = {setting.env: as_written} | {alias.name: alias.read for alias in setting.env_aliases}
        for name, read in readers.items():
            names[name] = entry(setting, name, False, read)
            if setting.secret:
                names[name + FILE_SUFFIX] = entry(setting, name + FILE_SUFFIX, True, as_written)
    return names


def file_names(settings: Iterable[Setting]) -> dict[str, Callable[[Any, str], Entry]]:
    """What each name in a file says."""

    def entry(setting: Setting, name: str, by_file: bool) -> Callable[[Any, str], Entry]:
        return lambda raw, path: Entry(
            setting=setting, name=name, place=path, raw=raw, textual=False, by_file=by_file
        )

    names = {}
    for setting in settings:
        for name in (setting.name, *(alias.name for alias in setting.file_aliases)):
            names[name] = entry(setting, name, False)
            if setting.secret:
                names[name + FILE_SUFFIX.lower()] = entry(setting, name + FILE_SUFFIX.lower(), True)
    return names


def _named(name: str) -> str:
    """A name as somebody wrote it, on one line and not endless."""
    shown = name if len(name) <= _LONGEST_NAME else name[:_LONGEST_NAME] + "..."
    return shown if shown.isprintable() else repr(shown)


def _meant(name: str, known: Iterable[str]) -> str:
    """The mend for an unknown name: the nearest one, else the same key elsewhere, else the place to look."""
    names, name = list(known), name[:_LONGEST_NAME]
    last = name.rpartition(".")[2]
    near = nearest(name, names) or next((other for other in names if other.rpartition(".")[2] == last), None)
    return f"did you mean {near}?" if near else "docs/settings.md lists all names."

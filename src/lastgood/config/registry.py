"""The list of all settings with every name each one answers to, made from ``settings.py`` and ``names.py``.

Read by ``load.py`` (what may be set), ``load.py`` again (what to print) and ``reference.py`` (what to document).
The one rule: nothing is listed by hand, so a field and its names cannot part.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from msgspec import NODEFAULT
from msgspec.structs import fields

from lastgood.config.names import ENVIRONMENT_ALIASES, FILE_ALIASES, FILE_SUFFIX, PREFIX, Alias
from lastgood.config.servers import SERVER_KINDS
from lastgood.config.settings import Settings
from lastgood.config.values import bare_type, shown, words
from lastgood.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One thing that can be set."""

    section: str
    key: str
    kind: Any
    default: Any
    unset: str
    help: str
    env_aliases: tuple[Alias, ...]
    file_aliases: tuple[Alias, ...]

    @property
    def name(self) -> str:
        return f"{self.section}.{self.key}"

    @property
    def env(self) -> str:
        return f"{PREFIX}{self.section}__{self.key}".upper()

    @property
    def secret(self) -> bool:
        return bare_type(self.kind) is Secret

    @property
    def words(self) -> str:
        return words(self.kind)

    @property
    def default_words(self) -> str:
        """The default as it would be written, or what happens while nothing is set."""
        return self.unset or f"`{shown(self.default)}`"

    def env_names(self) -> tuple[str, ...]:
        """Every environment name, foreign ones and ``_FILE`` forms included, ours first."""
        plain = (self.env, *(alias.name for alias in self.env_aliases))
        return (*plain, *(name + FILE_SUFFIX for name in plain)) if self.secret else plain


def settings_of(section: str, struct: type[Any]) -> tuple[Setting, ...]:
    """The settings of one section, from the fields of its struct; a field without a help line is none."""
    found = []
    for field in fields(struct):
        metadata = getattr(field.type, "__metadata__", None)
        if metadata is None:
            continue
        name = f"{section}.{field.name}"
        default = field.default
        if default is NODEFAULT:  # there is none, or it is made anew each time
            default = None if field.default_factory is NODEFAULT else field.default_factory()
        found.append(
            Setting(
                section=section,
                key=field.name,
                kind=field.type,
                default=default,
                unset=(metadata[0].extra or {}).get("unset", ""),
                help=metadata[0].description,
                env_aliases=tuple(alias for alias in ENVIRONMENT_ALIASES if alias.setting == name),
                file_aliases=tuple(alias for alias in FILE_ALIASES if alias.setting == name),
            )
        )
    return tuple(found)


_SECTIONS = {section.name: section.type for section in fields(Settings) if section.name != "servers"}
SETTINGS = tuple(setting for name, struct in _SECTIONS.items() for setting in settings_of(name, struct))
BY_NAME = {setting.name: setting for setting in SETTINGS}
SECTIONS = {name: struct.__doc__ or "" for name, struct in _SECTIONS.items()}

SERVER_SETTINGS = {kind.section: settings_of(kind.section, kind.struct) for kind in SERVER_KINDS}
"""Those of the unnamed server of each kind, which the environment reaches."""


def named(setting: Setting, several: str, name: str) -> Setting:
    """The same setting of a server with a name."""
    return replace(setting, section=f"{setting.section}.{several}.{name}", env_aliases=(), file_aliases=())

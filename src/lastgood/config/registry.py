"""The list of all settings with every name each one answers to, made from ``settings.py`` and ``names.py``.

Read by ``load.py`` (what may be set), ``load.py`` again (what to print) and ``reference.py`` (what to document).
The one rule: nothing is listed by hand, so a field and its names cannot part.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from msgspec.structs import fields

from lastgood.config.names import ENVIRONMENT_ALIASES, FILE_ALIASES, FILE_SUFFIX, PREFIX, Alias
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


def _settings() -> tuple[Setting, ...]:
    found = []
    for section in fields(Settings):
        for field in fields(section.type):
            (meta,) = field.type.__metadata__
            name = f"{section.name}.{field.name}"
            found.append(
                Setting(
                    section=section.name,
                    key=field.name,
                    kind=field.type,
                    default=field.default,
                    unset=(meta.extra or {}).get("unset", ""),
                    help=meta.description,
                    env_aliases=tuple(alias for alias in ENVIRONMENT_ALIASES if alias.setting == name),
                    file_aliases=tuple(alias for alias in FILE_ALIASES if alias.setting == name),
                )
            )
    return tuple(found)


SETTINGS = _settings()
BY_NAME = {setting.name: setting for setting in SETTINGS}
SECTIONS = {section.name: section.type.__doc__ or "" for section in fields(Settings)}

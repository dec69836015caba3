"""The settings reference, `docs/settings.md`, made from the list of settings.

Comes in: ``registry.SETTINGS`` and ``names.py``. Goes out: Markdown, also by ``python -m lastgood.config.reference``.
The one rule: the committed page equals what is made here (a test holds them together); edit the help lines instead.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

from lastgood.config.names import NOT_SETTINGS
from lastgood.config.registry import SECTIONS, SERVER_SETTINGS, SETTINGS, Setting
from lastgood.config.servers import SERVER_KINDS

_HEAD = """# Settings

<!-- Made by `scripts/docs` from the help lines in `src/lastgood/config/settings.py`; edit those. -->

A setting comes from the command line where a command has an option for it, else from the environment, else from
the settings file, else it has its default. `lastgood check-config` prints what is in force and where it came from,
secrets masked.

- **File**: TOML or YAML, named by `--config`, else by `LASTGOOD_CONFIG`, else `/etc/lastgood/lastgood.toml` or
  `/etc/lastgood/lastgood.yaml` (one of them). Unknown keys are refused.
- **Environment**: `LASTGOOD_` + section + `__` + key in capitals, such as `LASTGOOD_SERVER__LISTEN`. Lists are
  separated by commas. An empty variable counts as absent, except for secrets and `metrics.networks`: there it is
  refused, so that a variable that was not filled in opens no door.
- **Secrets** can stand in a file of their own: add `_FILE` to the variable (`LASTGOOD_METRICS__TOKEN_FILE`,
  `RM_METRICS_TOKEN_FILE`) or `_file` to the key, and give the path. A line break at the end is cut off. Setting both
  forms is refused.
- **Networks** are written `10.0.0.0/8` or `fd00::/8`; a single address stands for itself. Host bits are refused:
  `10.0.0.5/8` is a mistake. `0.0.0.0/0` is every IPv4 address and `::/0` every IPv6 address.
- Names of other programs are read as they are at home; where such a name and ours say different things, lastgood
  does not start.

In a file:

```toml
[server]
listen = "127.0.0.1:8080"
base_url = "https://backup.example.org"

[metrics]
token_file = "/run/secrets/metrics_token"
networks = ["10.0.0.0/8"]
```
"""

_FOOT = """
## Names that steer commands

These are no settings of the hub: {names}.

Other names that begin with `LASTGOOD_` and have no `__` are not read and give a warning (some orchestrators inject
such names); a name with `__` that is not on this page stops the start.
"""


def render() -> str:
    """The whole page."""
    parts = [_HEAD]
    for section, purpose in SECTIONS.items():
        parts.append(_table(section, purpose, (setting for setting in SETTINGS if setting.section == section)))
    for kind in SERVER_KINDS:
        parts.append(_table(kind.section, kind.purpose, SERVER_SETTINGS[kind.section]))
        parts.append(
            f"\nThe environment reaches `[{kind.section}]` alone. A `NAME` has letters, digits, `-`, `_` and `.`; "
            "in TOML one with a dot stands in quotes.\n"
        )
    parts.append(_FOOT.format(names=", ".join(f"`{name}`" for name in NOT_SETTINGS)))
    return "".join(parts)


def _table(section: str, purpose: str, settings: Iterable[Setting]) -> str:
    return (
        f"\n## `[{section}]`\n\n{purpose}\n\n"
        "| key | environment | holds | default | meaning |\n| --- | --- | --- | --- | --- |\n"
        + "".join(map(_row, settings))
    )


def _row(setting: Setting) -> str:
    also_env = "".join(f", `{alias.name}`" for alias in setting.env_aliases)
    also_key = "".join(f" (also `{alias.name}` at the top)" for alias in setting.file_aliases)
    secret = ", each also with `_FILE`" if setting.secret else ""
    return (
        f"| `{setting.key}`{also_key} | `{setting.env}`{also_env}{secret} "
        f"| {setting.words} | {setting.default_words} | {setting.help} |\n"
    )


if __name__ == "__main__":
    sys.stdout.write(render())

"""The text of a stack, looked at before anything is done with it, and the secrets that stand in it.

Comes in: what somebody wrote as compose file and ``.env``. Goes out: nothing, or ``ConfigError``; and the values that
no log may show. The one rule: no message repeats text of either file, which may be secret; it tells line and column.
What the services mean is compose's own business. Outside formats: YAML 1.1, the Compose file format, ``.env``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from lastgood.errors import ConfigError
from lastgood.model.stack import LONGEST_PROJECT, is_project
from lastgood.tools.restic.redact import secret_values

MOST_TEXT = 256 * 1024
MOST_ENV = 64 * 1024
MOST_ENV_LINES = 1_000
MOST_DEPTH = 50
MOST_NODES = 20_000
MOST_ALIASES = 1_000

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


def check_project(project: str) -> None:
    """Raises ConfigError for what compose takes for no project's name."""
    if not is_project(project):
        raise ConfigError(
            f"{project[:LONGEST_PROJECT]!r} is no name of a stack; write small letters, digits, - and _, with a "
            f"letter or digit first, at most {LONGEST_PROJECT} of them."
        )


def check_text(text: str, env: str | None) -> None:
    """Raises ConfigError for a stack that compose could not read, or that has no services."""
    _check_plain(text, "The compose file", MOST_TEXT)
    try:
        _check_bounds(text)
        root = yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as fault:
        mark = fault.problem_mark
        place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(f"The compose file is not valid YAML{place}; mend that line.") from None
    except (yaml.YAMLError, ValueError):
        raise ConfigError("The compose file is not valid YAML; look for odd characters in it.") from None
    services = _member(root, "services")
    if not isinstance(services, yaml.MappingNode) or not services.value:
        raise ConfigError("The compose file names no services; write them below services.")
    if env is not None:
        _check_env(env)


def secrets_of(text: str, env: str | None) -> list[str]:
    """The values that no log may show: all of ``.env``, and those of the compose file whose names say so, wherever in
    it they stand: variables may be merged from elsewhere, and builds, labels and configs hold secrets as well."""
    found = list(_env_values(env or ""))
    try:
        _check_bounds(text)  # what stands on a host's disk was not looked at by anybody
        root = yaml.compose(text, Loader=_LOADER)
    except (ConfigError, yaml.YAMLError, ValueError):
        return found
    named = dict.fromkeys(_named_values(root))
    return found + [value for name, value in named for value in secret_values({name: value})]


def _check_plain(text: str, what: str, most: int) -> None:
    if len(text.encode("utf-8", "replace")) > most:
        raise ConfigError(f"{what} is larger than {most // 1024} KiB; make it smaller.")
    if found := _CONTROL.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise ConfigError(f"{what} holds a control character in line {line}; take it out.")


def _check_bounds(text: str) -> None:
    """Before nodes are made of it: events come one by one, and cost no stack."""
    depth = nodes = aliases = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        nodes += isinstance(event, yaml.NodeEvent)
        aliases += isinstance(event, yaml.AliasEvent)
        if depth > MOST_DEPTH or nodes > MOST_NODES or aliases > MOST_ALIASES:
            raise ConfigError(
                f"The compose file is nested deeper than {MOST_DEPTH} levels, or holds more than {MOST_NODES} values "
                f"or {MOST_ALIASES} aliases; make it simpler."
            )


def _check_env(env: str) -> None:
    _check_plain(env, "The .env file", MOST_ENV)
    if len(env.splitlines()) > MOST_ENV_LINES:
        raise ConfigError(f"The .env file has more than {MOST_ENV_LINES} lines; make it shorter.")
    for number, line in _env_lines(env):
        name, equals, _ = line.partition("=")
        if not equals or not _NAME.fullmatch(name.strip()):
            raise ConfigError(f"Line {number} of the .env file is not NAME=value; mend it or put a # before it.")


def _env_lines(env: str) -> Iterator[tuple[int, str]]:
    """The lines that say something; those within quotes go on with the line that opened them."""
    opened: str | None = None
    for number, raw in enumerate(env.splitlines(), start=1):
        line = raw.strip()
        if opened is not None:
            opened = None if opened in line else opened
            continue
        line = line.removeprefix("export ").strip()
        if not line or line.startswith("#"):
            continue
        value = line.partition("=")[2].strip()
        if value[:1] in ("'", '"') and value[0] not in value[1:]:
            opened = value[0]
        yield number, line


def _env_values(env: str) -> Iterator[str]:
    """Each value as it is written and as it is meant; of one of several lines, each line."""
    for raw in env.splitlines():
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.removeprefix("export ").partition("=")
        value = value.strip() if equals and _NAME.fullmatch(name.strip()) else line
        bare = value.strip("\"'")
        yield from {value, bare, bare.partition(" #")[0].strip().strip("\"'")} - {""}


def _member(node: Any, name: str) -> Any:
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        if isinstance(key, yaml.ScalarNode) and key.value == name:
            return value
    return None


def _named_values(root: Any) -> Iterator[tuple[str, str]]:
    """Every name with its value: those of mappings, and ``NAME=value`` in lists. Aliases are looked at once."""
    waiting, seen = [root], set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if isinstance(key, yaml.ScalarNode) and isinstance(value, yaml.ScalarNode):
                    yield key.value, value.value
                else:
                    waiting.append(value)
        elif isinstance(node, yaml.SequenceNode):
            for one in node.value:
                if isinstance(one, yaml.ScalarNode):
                    name, equals, value = one.value.partition("=")
                    if equals:
                        yield name, value
                else:
                    waiting.append(one)

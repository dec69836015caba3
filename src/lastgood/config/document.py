"""The text of a settings file into a plain tree of keys and values.

Comes in: TOML or YAML text and the path it was read from. Goes out: nested dictionaries for ``entries.py``.
The one rule: no message repeats text of the file, which may be a secret; it tells line and column instead.
Follows TOML 1.0 and YAML 1.1 (safe subset; a key written twice is refused, as TOML does).
"""

from __future__ import annotations

import tomllib
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from lastgood.errors import ConfigError

SUFFIXES = (".toml", ".yaml", ".yml")


class _Loader(yaml.SafeLoader):
    """A safe loader that takes each key of a mapping once."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Hashable, Any]:
    seen = set()
    for key_node, _ in node.value:
        key = (key_node.tag, key_node.value) if isinstance(key_node, yaml.ScalarNode) else None
        if key is not None and key in seen:
            raise yaml.MarkedYAMLError(None, None, "a key stands twice in one mapping", key_node.start_mark)
        seen.add(key)
    loader.flatten_mapping(node)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def parse_document(path: Path, content: bytes) -> dict[str, Any]:
    """The tree in ``content``, by the suffix of ``path``; an empty file is an empty tree."""
    if path.suffix not in SUFFIXES:
        raise ConfigError(f"{path} is neither TOML nor YAML by its name; call it .toml, .yaml or .yml.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        raise ConfigError(f"{path} is not UTF-8 text (byte {fault.start}); save it as UTF-8.") from None
    tree = _toml(path, text) if path.suffix == ".toml" else _yaml(path, text)
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise ConfigError(f"{path} does not hold sections of settings; begin it with one such as server.")
    return {str(key): value for key, value in tree.items()}


def _toml(path: Path, text: str) -> Any:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        raise ConfigError(f"{path} is not valid TOML: {fault}; mend that line.") from None
    except (ValueError, RecursionError):
        raise ConfigError(f"{path} is not valid TOML: a number or a nesting in it has no end; mend that.") from None


def _yaml(path: Path, text: str) -> Any:
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader with one rule more
    except yaml.MarkedYAMLError as fault:
        mark = fault.problem_mark
        place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        # Composer and constructor put the text of the node into their words; the others do not.
        tells = not isinstance(fault, (yaml.composer.ComposerError, yaml.constructor.ConstructorError))
        reason = f": {fault.problem}" if tells and fault.problem else ""
        raise ConfigError(f"{path} is not valid YAML{place}{reason}; mend that line.") from None
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, LookupError):
        # A tag on text that it does not fit (!!timestamp x) raises what Python happens to raise.
        raise ConfigError(f"{path} is not valid YAML; look for control characters and odd dates.") from None
    except RecursionError:
        raise ConfigError(f"{path} is not valid YAML: something in it is nested without end; mend that.") from None

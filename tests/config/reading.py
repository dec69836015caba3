"""A disk made of a dictionary, and the two ways in which loading ends."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from lastgood.config.load import Loaded, load
from lastgood.errors import ConfigError

TOML = "/etc/lastgood/lastgood.toml"
YAML = "/etc/lastgood/lastgood.yaml"


class Disk:
    """Files by path; a value that is an error number is raised as that error."""

    def __init__(self, files: Mapping[str, str | bytes | int] | None = None) -> None:
        self.files = dict(files or {})

    def __call__(self, path: Path) -> bytes:
        content = self.files.get(str(path), errno.ENOENT)
        if isinstance(content, int):
            raise OSError(content, os.strerror(content), str(path))
        return content.encode() if isinstance(content, str) else content


def loaded(environ=None, files=None, config=None, options=None) -> Loaded:
    return load(environ or {}, Disk(files), config, options=options)


def refusal(environ=None, files=None, config=None, options=None) -> str:
    """The sentence with which loading is refused."""
    with pytest.raises(ConfigError) as caught:
        loaded(environ, files, config, options)
    return str(caught.value)

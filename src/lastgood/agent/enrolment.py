"""What makes an agent this host's agent: its configuration file and its key.

Whoever enrols writes them, ``run_agent`` reads them. The one rule: both are mode 0600 and whole or absent, and an
agent never makes itself a new key when its own is gone. Format: TOML with the fields of ``AgentConfig``; the key is
32 bytes in base64.
"""

from __future__ import annotations

import json
import stat
import tomllib
from pathlib import Path

import msgspec

from lastgood.agent.address import socket_address
from lastgood.agent.files import write_private
from lastgood.agent.handshake import from_text
from lastgood.auth.identity import KEY_BYTES, KeyPair, key_pair
from lastgood.config.keyfile import load_or_make_key
from lastgood.errors import ConfigError
from lastgood.ids import is_ulid


class AgentConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One agent. ``hub_key`` is the hub's public key in base64, pinned; ``restic`` a name on PATH or a path;
    ``ca_file`` the certificate of a private authority that signed the hub's."""

    hub_url: str
    hub_key: str
    host_id: str
    key_file: str
    data_dir: str
    restic: str = "restic"
    insecure: bool = False
    ca_file: str | None = None


def write_config(path: Path, config: AgentConfig) -> None:
    """Write an agent's configuration, mode 0600."""
    fields = msgspec.to_builtins(config)
    # A JSON string without escaped surrogates is a TOML string, and so are true and false.
    lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in fields.items()]
    write_private(path, "".join(lines).encode())


def read_config(path: Path) -> AgentConfig:
    """The agent's configuration; ConfigError with the mend if it cannot be used. Paths may be relative to it."""
    try:
        fields = tomllib.loads(path.read_text("utf-8"))
        config = msgspec.convert(fields, AgentConfig)
    except OSError as error:
        raise ConfigError(
            f"The agent's configuration {path} cannot be read: {error.strerror}; enrol this host first."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise ConfigError(
            f"The agent's configuration {path} is not valid: {error}; mend it or enrol again."
        ) from error
    if not is_ulid(config.host_id):
        raise ConfigError(f"The host_id in {path} is no host's id; mend it or enrol again.")
    if len(from_text(config.hub_key)) != KEY_BYTES:
        raise ConfigError(f"The hub_key in {path} is no key of {KEY_BYTES} bytes in base64; mend it or enrol again.")
    socket_address(config.hub_url, insecure=config.insecure)
    here = path.absolute().parent
    return msgspec.structs.replace(
        config,
        key_file=str(here / config.key_file),
        data_dir=str(here / config.data_dir),
        ca_file=None if config.ca_file is None else str(here / config.ca_file),
    )


def make_key(path: Path) -> KeyPair:
    """The agent's key at ``path``, made there if the file is absent."""
    return key_pair(load_or_make_key(path))


def read_key(path: Path) -> KeyPair:
    """The agent's key; ConfigError if the file is absent, open to others, or holds no key."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        raw = from_text(path.read_text("ascii").strip())
    except OSError as error:
        raise ConfigError(
            f"The agent's key file {path} cannot be read: {error.strerror}; put it back or enrol this host again."
        ) from error
    except UnicodeDecodeError:
        raw = b""
    if mode & 0o077:
        raise ConfigError(
            f"The agent's key file {path} is open to other users (mode {mode:04o}); run: chmod 600 {path}"
        )
    if len(raw) != KEY_BYTES:
        raise ConfigError(f"{path} does not hold an agent's key; put the file back or enrol this host again.")
    return key_pair(raw)

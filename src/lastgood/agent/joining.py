"""A machine becomes a host, on its own side: folder, key, the hub's word, and at last the configuration.

Called by the command line. The one rule: the configuration is written last and whole, and every step before it may be
repeated with the same key, so that an enrolment that was interrupted anywhere is finished by the same command.
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from lastgood.agent import enrol
from lastgood.agent.enrol import Place
from lastgood.agent.enrolment import AgentConfig, make_key, read_config, write_config
from lastgood.agent.files import make_private_folder, write_private
from lastgood.auth.identity import KeyPair
from lastgood.errors import AccessError, ConfigError
from lastgood.wire.enrolment import Announced, Enrolled, bytes_of

_LIKE_A_CONTAINER = re.compile(r"[0-9a-f]{12}([0-9a-f]{52})?")


class Rejected(AccessError):
    """Somebody at the hub said no."""


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered of an announcement: the hub that answered it, and with which key."""

    hub_url: str
    hub_key: str
    pending_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Join:
    """What the command was told. ``data_dir`` is where the agent keeps spool and orders."""

    place: Place
    config: Path
    data_dir: Path
    name: str | None = None
    hostname: str = field(default_factory=lambda: (socket.gethostname() or "localhost")[:200])
    """What the machine calls itself."""

    @property
    def key_file(self) -> Path:
        return self.config.with_suffix(".key")

    @property
    def seen_file(self) -> Path:
        return self.config.with_suffix(".announced")

    @property
    def doubtful_name(self) -> str | None:
        """The machine's own name, if it is one that will not last and no other was given."""
        return self.hostname if self.name is None and _LIKE_A_CONTAINER.fullmatch(self.hostname) else None


def prepare(join: Join) -> KeyPair:
    """Folders and key, before anybody is asked anything. Raises ConfigError."""
    join.place.address  # noqa: B018 - raises for an address that must not be used
    if join.config.exists():
        held = read_config(join.config)
        raise ConfigError(
            f"This machine is enrolled at {held.hub_url} already, as {join.config} says; run lastgood agent run, or "
            "move that file away to enrol anew."
        )
    try:
        join.config.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"The folder {join.config.parent} cannot be made: {error.strerror}; run this as root, or choose another "
            "place with --config."
        ) from error
    make_private_folder(join.data_dir)
    return make_key(join.key_file)


def with_code(join: Join, code: str, keys: KeyPair) -> Enrolled:
    """Use the code and write the configuration."""
    made = enrol.redeem(join.place, code, keys, hostname=join.hostname, name=join.name)
    _finish(join, made.host_id, made.hub_key)
    return made


def announced(join: Join, keys: KeyPair) -> Announced:
    """Announce this machine, or ask how that stands; once it is approved the configuration is written.

    Raises Rejected, and whatever ``enrol.announce`` does.
    """
    seen = _seen(join)
    hub_key = None if seen is None else bytes_of(seen.hub_key)
    answer = enrol.announce(join.place, keys, hostname=join.hostname, name=join.name, hub_key=hub_key)
    if answer.state == "rejected":
        join.seen_file.unlink(missing_ok=True)
        raise Rejected("Somebody at the hub turned this machine away; ask them why.")
    if seen is None or seen.pending_id != answer.pending_id:
        said = Seen(hub_url=join.place.hub_url, hub_key=answer.hub_key, pending_id=answer.pending_id)
        write_private(join.seen_file, msgspec.json.encode(said))
    if answer.state == "approved":
        _finish(join, answer.host_id, answer.hub_key)
        join.seen_file.unlink(missing_ok=True)
    return answer


def _seen(join: Join) -> Seen | None:
    """The earlier announcement to the same hub; one to another hub is none."""
    try:
        seen = msgspec.json.decode(join.seen_file.read_bytes(), type=Seen)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    return seen if seen.hub_url == join.place.hub_url else None


def _finish(join: Join, host_id: str, hub_key: str) -> None:
    config = AgentConfig(
        hub_url=join.place.hub_url,
        hub_key=hub_key,
        host_id=host_id,
        key_file=join.key_file.name,
        data_dir=str(join.data_dir.absolute()),
        insecure=join.place.insecure,
        ca_file=join.place.ca_file,
    )
    write_config(join.config, config)

"""A host's agent gets a new key without being enrolled again, and whatever fails in between it still gets in.

The steps: a new key beside the old one; the hub is told, signed by both; the new key takes the old one's place; the
hub is told to forget the old one. The one rule: at every moment the key in ``key_file`` is one that the hub takes; so
the command may be killed anywhere, and is finished by running it again or by the agent's next connection.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from lastgood.agent import enrol
from lastgood.agent.enrol import Place
from lastgood.agent.enrolment import AgentConfig, make_key, read_key
from lastgood.auth.identity import KeyPair
from lastgood.errors import ConfigError
from lastgood.wire.enrolment import bytes_of

STEPS = ("key made", "hub told", "key in place", "old key ended")


def rotate(config: AgentConfig, done: Callable[[str], object] = lambda step: None) -> KeyPair:
    """Change the key; ``done`` hears of each step. Raises as ``enrol.redeem``, ConfigError for files."""
    place = Place(hub_url=config.hub_url, insecure=config.insecure, ca_file=config.ca_file)
    key_file, hub_key = Path(config.key_file), bytes_of(config.hub_key)
    next_file = key_file.with_name(key_file.name + ".next")
    keys, new = read_key(key_file), make_key(next_file)
    done(STEPS[0])
    enrol.offer_key(place, config.host_id, keys, new, hub_key)
    done(STEPS[1])
    _put_in_place(next_file, key_file)
    done(STEPS[2])
    enrol.use_key(place, config.host_id, new, hub_key)
    done(STEPS[3])
    return new


def _put_in_place(next_file: Path, key_file: Path) -> None:
    try:
        status = key_file.stat()
        if os.geteuid() == 0:
            os.chown(next_file, status.st_uid, status.st_gid)  # an agent that runs as another user reads it as before
        next_file.replace(key_file)
        folder = os.open(key_file.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise ConfigError(
            f"The new key cannot take the place of {key_file}: {error.strerror}; the old one holds, run this as its "
            "owner."
        ) from error

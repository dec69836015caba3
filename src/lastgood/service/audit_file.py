"""Proves the audit log of a database file, whether its hub runs or not.

Comes in: the file, the secret key file where it is at hand, files with signed heads. Goes out: what ``auth/proof.py``
found. The one rule: nothing is written, and the database's own word for a key is believed only if the secret key file
opens it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from lastgood.auth.chain import Head, chain_keys
from lastgood.auth.identity import key_pair
from lastgood.auth.proof import Proof, prove
from lastgood.auth.secrets import Sealer, key_name, subkey
from lastgood.config.keyfile import load_key
from lastgood.errors import ConfigError
from lastgood.service.audit import LARGEST_HEAD, read_head
from lastgood.service.identity import HUB_KEY, SECRET_KEY_NAME
from lastgood.store import audit as rows
from lastgood.store.copying import read_note, read_sealed


class _Answer(msgspec.Struct, frozen=True):
    """A head as the API gives it."""

    head: Head | None


def prove_file(database: Path, key_file: Path | None, kept: Sequence[Path] = (), given: Sequence[Path] = ()) -> Proof:
    """What can be proved. ``kept`` heads may be absent, ``given`` ones must be there. Raises ConfigError."""
    if not database.is_file():
        raise ConfigError(f"There is no database {database}; name it with --database, or its folder with --data-dir.")
    heads = [head for path in kept if (head := read_head(path)) is not None]
    heads += [_given(path) for path in given]
    keys = hub_key = None
    if key_file is not None:
        secret_key = load_key(key_file)
        keys, hub_key = chain_keys(secret_key), _hub_key(database, secret_key, key_file)
    try:
        return prove(rows.stored_rows(database), keys=keys, hub_key=hub_key, heads=heads)
    except rows.NotText:
        return prove(rows.damaged_rows(database), keys=keys, hub_key=hub_key, heads=heads)


def _hub_key(database: Path, secret_key: bytes, key_file: Path) -> bytes:
    sealed = read_sealed(database, HUB_KEY)
    if sealed is None or read_note(database, SECRET_KEY_NAME) != key_name(secret_key):
        raise ConfigError(
            f"The secret key file {key_file} is not the one that {database} was made with; name the right one with "
            "--key-file."
        )
    return key_pair(Sealer(subkey(secret_key, "sealed columns")).open(HUB_KEY, sealed)).public_key


def _given(path: Path) -> Head:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_HEAD)
    except OSError as error:
        raise ConfigError(f"The head {path} cannot be read ({error.strerror}).") from error
    for kind in (Head, _Answer):
        try:
            found = msgspec.json.decode(content, type=kind)
        except msgspec.DecodeError:
            continue
        head = found.head if isinstance(found, _Answer) else found
        if isinstance(head, Head):
            return head
    raise ConfigError(f"{path} holds no head of an audit log; one is made by: lastgood audit head --json > FILE")

"""The hub's own key pair, sealed in the database with the secret key file.

The one rule: a secret key file that is not the one the database was made with stops the start, before anything
sealed is misread or written anew.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection

from lastgood.auth.identity import KeyPair, key_pair, mint_key_pair
from lastgood.auth.secrets import Sealer, key_name, subkey
from lastgood.errors import ConfigError
from lastgood.store import records
from lastgood.store.database import Database

HUB_KEY = "hub.key"
SECRET_KEY_NAME = "secret_key"  # noqa: S105 - the name of a note, not a secret


async def hub_keys(database: Database, secret_key: bytes, key_file: Path) -> KeyPair:
    """The hub's Ed25519 keys, minted at the first start. Raises ConfigError for a key file that does not fit."""
    fits = await database.read(lambda connection: records.get_meta(connection, SECRET_KEY_NAME))
    if fits is not None and fits != key_name(secret_key):
        raise ConfigError(
            f"The secret key file {key_file} is not the one that this database was made with; put the right one "
            "back, or restore the database that belongs to it."
        )
    sealer = Sealer(subkey(secret_key, "sealed columns"))
    sealed = await database.read(lambda connection: records.get_secret(connection, HUB_KEY))
    if sealed is not None:
        return key_pair(sealer.open(HUB_KEY, sealed))
    keys = mint_key_pair()

    def keep(connection: Connection) -> None:
        records.put_secret(connection, HUB_KEY, sealer.seal(HUB_KEY, keys.private_key))
        records.set_meta(connection, SECRET_KEY_NAME, key_name(secret_key))

    await database.write(keep)
    return keys

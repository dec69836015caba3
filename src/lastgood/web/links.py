"""Makes the one-time links with which somebody signs in who has no password yet, or no more."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection

from lastgood.auth.secrets import mint_token
from lastgood.store import accounts
from lastgood.store.accounts import SignInLink
from lastgood.web.session import link_digest

WELCOME = "welcome"


def make_link(
    connection: Connection, *, key: bytes, base: str, user_name: str | None, now: datetime, lasts_for: timedelta
) -> str:
    """The address of a new link, kept as a digest; ``user_name`` None is for the first administrator.

    ``key`` is the web's subkey of the secret key.
    """
    token = mint_token("link").reveal()
    expires_at = now + lasts_for
    accounts.add_link(
        connection,
        SignInLink(digest=link_digest(key, token), purpose=WELCOME, user_name=user_name, expires_at=expires_at),
    )
    return f"{base}/welcome/{token}"

"""Where the hub's WebSocket is, and whether we may go there.

The one rule: plain ``ws://`` only to this machine itself, unless the operator said ``insecure`` in so many words.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit, urlunsplit

from lastgood.errors import ConfigError

PATH = "/ws/agent"
_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}


def socket_address(hub_url: str, *, insecure: bool) -> str:
    """The address to connect to, made from the hub's base URL. Raises ConfigError if it must not be used."""
    scheme, netloc, path = _parts(hub_url, insecure=insecure)
    return urlunsplit((scheme, netloc, path + PATH, "", ""))


def api_address(hub_url: str, *, insecure: bool) -> str:
    """The hub's base URL as requests need it, without a slash at its end. Raises ConfigError as above."""
    scheme, netloc, path = _parts(hub_url, insecure=insecure)
    return urlunsplit(("https" if scheme == "wss" else "http", netloc, path, "", ""))


def _parts(hub_url: str, *, insecure: bool) -> tuple[str, str, str]:
    """Scheme of the WebSocket, host with port, and the path below which the hub lives."""
    try:
        parts = urlsplit(hub_url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(f"The hub's address {hub_url!r} cannot be read: {error}; write https://HOST.") from error
    scheme = _SCHEMES.get(parts.scheme)
    if scheme is None or not host:
        raise ConfigError(f"The hub's address {hub_url!r} is none; write https://HOST or https://HOST:PORT.")
    if "@" in parts.netloc:
        raise ConfigError("The hub's address holds a user name or password; agents use their key, leave them out.")
    if scheme == "ws" and not is_loopback(host) and not insecure:
        raise ConfigError(
            f"The hub's address {hub_url!r} is not encrypted, and that is taken for this machine itself only; "
            "write https://, or set insecure = true if nobody can listen in between."
        )
    return scheme, parts.netloc, parts.path.rstrip("/").removesuffix(PATH)


def is_loopback(host: str) -> bool:
    """Whether the name or address is this machine itself."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.casefold() == "localhost"

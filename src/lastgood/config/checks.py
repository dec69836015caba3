"""What settings must not say together, and what an operator should be told at the start.

Comes in: the effective settings and where each came from. Goes out: a ``ConfigError``, or sentences.
The one rule: what would open a door or lock everybody out is refused; what is only risky is told.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from lastgood.config.settings import Settings
from lastgood.errors import ConfigError

# A header carries visible ASCII unchanged through every client and proxy; anything else may arrive altered.
_TOKEN = re.compile(r"[\x21-\x7e]+")
_ADDRESS = re.compile(r"https?://[\x21-\x7e]+")


def refuse_contradictions(settings: Settings, origins: Mapping[str, str]) -> None:
    """Raises ConfigError if values cannot hold together or cannot work."""
    metrics, server = settings.metrics, settings.server
    if metrics.token is not None and not _TOKEN.fullmatch(metrics.token.reveal()):
        raise ConfigError(
            f"metrics.token ({origins['metrics.token']}) holds blanks or characters outside ASCII, which a "
            "header does not carry safely; choose letters, digits and punctuation."
        )
    if metrics.token is not None and not metrics.auth:
        raise ConfigError(
            f"metrics.auth is false ({origins['metrics.auth']}) while metrics.token is set "
            f"({origins['metrics.token']}); take one of them away."
        )
    heartbeat = settings.hub.heartbeat_url
    if heartbeat is not None and not _ADDRESS.fullmatch(heartbeat.reveal()):
        raise ConfigError(
            f"hub.heartbeat_url ({origins['hub.heartbeat_url']}) is not an http or https address; copy it anew from "
            "whoever is to watch this hub."
        )
    head = settings.audit.head_url
    if head is not None and not _ADDRESS.fullmatch(head.reveal()):
        raise ConfigError(
            f"audit.head_url ({origins['audit.head_url']}) is not an http or https address; copy it anew from "
            "whoever is to keep the audit log's heads."
        )
    if (server.tls_cert is None) != (server.tls_key is None):
        present, absent = ("tls_cert", "tls_key") if server.tls_key is None else ("tls_key", "tls_cert")
        raise ConfigError(f"server.{present} is set without server.{absent}; TLS needs both.")


def warn(settings: Settings, origins: Mapping[str, str]) -> list[str]:
    """Sentences about settings that work and may not be meant."""
    metrics, server = settings.metrics, settings.server
    warnings = []
    if metrics.public:
        warnings.append(
            f"/metrics is public, because metrics.auth is false ({origins['metrics.auth']}); "
            "set metrics.networks to fence it in."
        )
    for name, networks, meaning in (
        ("metrics.networks", metrics.networks, "lets in every address of its family"),
        ("server.trusted_proxies", server.trusted_proxies, "lets everybody claim any address"),
    ):
        warnings.extend(
            f"{name} ({origins[name]}) holds {network}, which {meaning}."
            for network in networks
            if network.prefixlen == 0
        )
    https = server.public_url.scheme == "https"
    if server.cookie_secure is True and not https:
        warnings.append(
            f"server.cookie_secure is true while the hub is reached at {server.public_url}: browsers will not "
            "keep the sign-in; set server.base_url to the https address."
        )
    if server.cookie_secure is False and https:
        warnings.append(
            "server.cookie_secure is false though the hub is reached by https: the sign-in cookie would also "
            "travel in clear; leave the setting out."
        )
    return warnings

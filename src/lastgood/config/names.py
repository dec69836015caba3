"""Names of other programs that lastgood takes as its own, in one table; and names that are no settings.

``registry.py`` joins the table to the settings and ``load.py`` reads by it. The one rule: a foreign name means
here exactly what it means at home, so a reader that differs from ours stands beside its name.
Follows restic-manager (environment and YAML keys), DockMesh (``DOCKMESH_METRICS_AUTH``) and pbs-exporter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

PREFIX = "LASTGOOD_"
FILE_SUFFIX = "_FILE"


def as_written(text: str) -> str:
    """Most programs mean by a text what we mean by it."""
    return text


def only_false_opens(text: str) -> str:
    """DockMesh: authentication goes away for the exact text ``false`` and for nothing else."""
    return "false" if text == "false" else "true"


class Alias(NamedTuple):
    """A foreign name of one of our settings; ``read`` turns its text into the text that we would write."""

    name: str
    setting: str
    program: str
    read: Callable[[str], str] = as_written


ENVIRONMENT_ALIASES = (
    Alias("RM_METRICS_TOKEN", "metrics.token", "restic-manager"),
    Alias("RM_METRICS_TRUSTED_CIDR", "metrics.networks", "restic-manager"),
    Alias("RM_TRUSTED_PROXY", "server.trusted_proxies", "restic-manager"),
    Alias("RM_LISTEN", "server.listen", "restic-manager"),
    Alias("RM_BASE_URL", "server.base_url", "restic-manager"),
    Alias("RM_DATA_DIR", "server.data_dir", "restic-manager"),
    Alias("RM_SECRET_KEY_FILE", "server.secret_key_file", "restic-manager"),
    Alias("RM_COOKIE_SECURE", "server.cookie_secure", "restic-manager"),
    Alias("DOCKMESH_METRICS_AUTH", "metrics.auth", "DockMesh", only_false_opens),
    Alias("PBS_EXPORTER__PBS__ENDPOINT", "pbs.endpoint", "pbs-exporter"),
    Alias("PBS_EXPORTER__PBS__TOKEN_ID", "pbs.token_id", "pbs-exporter"),
    Alias("PBS_EXPORTER__PBS__TOKEN_SECRET", "pbs.token_secret", "pbs-exporter"),
    Alias("PBS_EXPORTER__PBS__VERIFY_TLS", "pbs.verify_tls", "pbs-exporter"),
    Alias("PBS_EXPORTER__PBS__TIMEOUT_SECONDS", "pbs.timeout_seconds", "pbs-exporter"),
    Alias("PBS_EXPORTER__PBS__SNAPSHOT_HISTORY_LIMIT", "pbs.snapshot_history_limit", "pbs-exporter"),
    # What that program lacks stands under its prefix too: whoever has its names looks for them there.
    Alias("PBS_EXPORTER__PBS__CA_FILE", "pbs.ca_file", "pbs-exporter"),
    Alias("PBS_EXPORTER__PBS__FINGERPRINT", "pbs.fingerprint", "pbs-exporter"),
    Alias("PBS_EXPORTER__PBS__ARCHIVED", "pbs.archived", "pbs-exporter"),
    Alias("PBS_EXPORTER__PBS__TARGETS", "pbs.targets", "pbs-exporter"),
    Alias("PBS_EXPORTER__PBS__EXPECTED_OFF", "pbs.expected_off", "pbs-exporter"),
)

ONE_UNDERSCORE = {
    alias.name.replace("__", "_"): alias.name
    for alias in ENVIRONMENT_ALIASES
    if alias.name.startswith("PBS_EXPORTER")
}
"""Spellings that pbs-exporter's own page shows once; taken, with a warning."""

FILE_ALIASES = (
    Alias("metrics_token", "metrics.token", "restic-manager"),
    Alias("metrics_trusted_cidrs", "metrics.networks", "restic-manager"),
)

NOT_SETTINGS = (
    "LASTGOOD_CONFIG",
    "LASTGOOD_URL",
    "LASTGOOD_TOKEN",
    "LASTGOOD_TOKEN_FILE",
    "LASTGOOD_INSECURE",
    "LASTGOOD_DEBUG",
)
"""Names of ours that steer the commands instead of the settings."""

TEST_PREFIX = "LASTGOOD_TEST_"
FOREIGN_PREFIXES = tuple(sorted({alias.name.partition("_")[0] + "_" for alias in ENVIRONMENT_ALIASES}))

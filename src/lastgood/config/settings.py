"""The typed tree of settings: every section, field, default and help line, and what follows from them.

``load.py`` fills it from environment and file; ``registry.py`` reads it to know the names; the reference page
is made from it. The one rule: a field added here is a setting everywhere, so it needs its help line, and the
``unset`` words where None means something. Durations carry their unit in the name.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from lastgood.config.servers import Servers
from lastgood.config.values import Listen, Network, Url
from lastgood.secret import Secret


class ServerSettings(Struct, frozen=True, kw_only=True):
    """Where the hub listens, what it is called from outside, and where it keeps its files."""

    listen: Annotated[
        Listen,
        Meta(description="Address and port to listen on; `:8080` means every interface."),
    ] = Listen("127.0.0.1", 8080)
    base_url: Annotated[
        Url | None,
        Meta(
            description="The address under which people and agents reach the hub, scheme included; "
            "links and scrape targets are made from it.",
            extra={"unset": "made from `server.listen`"},
        ),
    ] = None
    tls_cert: Annotated[
        Path | None,
        Meta(
            description="PEM file with the certificate chain; with it the hub speaks TLS itself.",
            extra={"unset": "no TLS"},
        ),
    ] = None
    tls_key: Annotated[
        Path | None,
        Meta(description="PEM file with the key of `server.tls_cert`.", extra={"unset": "no TLS"}),
    ] = None
    trusted_proxies: Annotated[
        tuple[Network, ...],
        Meta(
            description="Reverse proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed; "
            "from anybody else these headers are ignored.",
            extra={"unset": "none"},
        ),
    ] = ()
    secret_key_file: Annotated[
        Path | None,
        Meta(
            description="File with the key that encrypts stored credentials; made with mode 0600 if absent. "
            "Keep a copy: without it they cannot be read.",
            extra={"unset": "`secret.key` in `server.data_dir`"},
        ),
    ] = None
    data_dir: Annotated[Path, Meta(description="Folder for the database and the key.")] = Path("/var/lib/lastgood")
    cookie_secure: Annotated[
        bool | None,
        Meta(
            description="Whether the sign-in cookie travels over https only.",
            extra={"unset": "true if the hub is reached by https"},
        ),
    ] = None

    @property
    def public_url(self) -> Url:
        """The address to print and to build links from."""
        if self.base_url is not None:
            return self.base_url
        scheme = "http" if self.tls_cert is None else "https"
        everywhere = self.listen.host in ("", "0.0.0.0", "::")  # noqa: S104 - compared, not listened on
        named = Listen("localhost", self.listen.port) if everywhere else self.listen
        return Url(f"{scheme}://{named}")

    @property
    def key_path(self) -> Path:
        """Where the secret key is, or will be made."""
        return self.secret_key_file or self.data_dir / "secret.key"

    @property
    def secure_cookies(self) -> bool:
        """Whether cookies carry ``Secure`` and the ``__Host-`` prefix."""
        return self.public_url.scheme == "https" if self.cookie_secure is None else self.cookie_secure


class MetricsSettings(Struct, frozen=True, kw_only=True):
    """Who may read `/metrics`, and how outcomes are counted there."""

    token: Annotated[
        Secret | None,
        Meta(
            description="Asks scrapers for `Authorization: Bearer` with this token.",
            extra={"unset": "no static token"},
        ),
    ] = None
    networks: Annotated[
        tuple[Network, ...],
        Meta(
            description="Networks from which `/metrics` may be read; enforced before any token. "
            "Without a token they alone decide.",
            extra={"unset": "none"},
        ),
    ] = ()
    auth: Annotated[
        bool,
        Meta(description="`false` asks nobody for a token; with no networks set `/metrics` is then public."),
    ] = True
    shards: Annotated[
        int,
        Meta(
            ge=1,
            description="Into how many shards `?shard=` divides `/metrics`; the same for every replica.",
        ),
    ] = 1
    uncompressed_at_once: Annotated[
        int,
        Meta(
            ge=1,
            description="How many large pages are sent uncompressed at once; one more is asked to come again later.",
        ),
    ] = 2
    partial_is_success: Annotated[
        bool,
        Meta(
            description="Whether a partial backup (some files unreadable) counts as 1 in "
            "`rm_host_last_backup_success`."
        ),
    ] = False
    natrontech: Annotated[
        bool,
        Meta(
            description="Whether `/metrics/natrontech` tells Proxmox Backup Servers by the names of the other PBS "
            "exporter, to whoever may read `/metrics`."
        ),
    ] = False

    @property
    def public(self) -> bool:
        """Whether anybody who reaches the port may scrape."""
        return not self.auth and not self.networks and self.token is None


class RetentionSettings(Struct, frozen=True, kw_only=True):
    """How long history is kept in lastgood's own database; backups are never touched by it."""

    runs_days: Annotated[int, Meta(ge=1, description="Days that finished runs are kept.")] = 400
    ledger_days: Annotated[int, Meta(ge=1, description="Days that rows of expected runs are kept.")] = 400
    alerts_days: Annotated[int, Meta(ge=1, description="Days that resolved alerts are kept.")] = 400
    notices_days: Annotated[
        int, Meta(ge=1, description="Days that notices are kept that were delivered or given up.")
    ] = 90


class AuditSettings(Struct, frozen=True, kw_only=True):
    """How long the audit log is kept, and who else is told how far it has come."""

    days: Annotated[
        int,
        Meta(ge=1, description="Days that rows of the audit log are kept; older ones go behind a signed checkpoint."),
    ] = 400
    head_url: Annotated[
        Secret | None,
        Meta(
            description="Given the log's signed head once a day, as JSON by POST; kept there, it proves later that "
            "no row was cut off. Such an address is a secret.",
            extra={"unset": "nobody is told"},
        ),
    ] = None


class NoticeSettings(Struct, frozen=True, kw_only=True):
    """Where notices may be sent, and how long; the channels themselves live in the database."""

    allowed_networks: Annotated[
        tuple[Network, ...],
        Meta(
            description="Networks that notices may be sent to although they are this machine, link-local addresses "
            "or a cloud's metadata service, such as `127.0.0.1` for a relay beside the hub.",
            extra={"unset": "none"},
        ),
    ] = ()
    private_networks: Annotated[
        bool,
        Meta(description="Whether notices may be sent into private networks, such as `10.0.0.0/8`."),
    ] = True
    give_up_hours: Annotated[
        int,
        Meta(ge=1, description="Hours for which a notice that is not taken is sent again, before it is given up."),
    ] = 24


class HubSettings(Struct, frozen=True, kw_only=True):
    """How somebody else notices that the hub itself has stopped."""

    heartbeat_url: Annotated[
        Secret | None,
        Meta(
            description="Asked with GET for as long as the hub judges; a watchdog elsewhere (healthchecks, Uptime "
            "Kuma and the like) alarms when that stays away. Such an address is a secret.",
            extra={"unset": "nobody is told"},
        ),
    ] = None
    heartbeat_seconds: Annotated[int, Meta(ge=60, description="Seconds between two heartbeats, 60 or more.")] = 60


class LogSettings(Struct, frozen=True, kw_only=True):
    """What lastgood says about itself on standard error."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(description="The least severity that is logged."),
    ] = "info"
    format: Annotated[Literal["text", "json"], Meta(description="Lines for people or for machines.")] = "text"


class Settings(Struct, frozen=True, kw_only=True):
    """Everything that can be set; hosts, sources and schedules live in the database instead."""

    server: ServerSettings = ServerSettings()
    metrics: MetricsSettings = MetricsSettings()
    retention: RetentionSettings = RetentionSettings()
    audit: AuditSettings = AuditSettings()
    notices: NoticeSettings = NoticeSettings()
    hub: HubSettings = HubSettings()
    log: LogSettings = LogSettings()
    servers: Servers = Servers()

"""The systemd unit under which an agent runs: no root, one capability, and nothing hidden from a backup.

A command and a user come in, the unit's text goes out. The one rule: of root's rights it keeps the one to read
everything (CAP_DAC_READ_SEARCH); and no option may put another view of the file system before restic, since a folder
that is empty in there would be backed up as empty.
"""

from __future__ import annotations

import re
from pathlib import Path

from lastgood.errors import ConfigError

UNIT_PATH = Path("/etc/systemd/system/lastgood-agent.service")
USER = "lastgood-agent"
STATE = Path("/var/lib/lastgood-agent")

_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,30}")
_UNIT = """\
# The agent as a service; made by "lastgood agent install".

[Unit]
Description=lastgood agent: backs this host up and reports it
Wants=network-online.target
After=network-online.target time-sync.target

[Service]
ExecStart={command}
User={user}
Restart=on-failure
RestartSec=10
# Bad settings do not mend themselves, nor does a hub that wants this agent no more.
RestartPreventExitStatus=78
# The agent interrupts restic itself and waits for it; whoever is left after that is killed.
KillMode=mixed
TimeoutStopSec=60
LimitNOFILE=65536
Nice=5

{state}
Environment={cache} {home}
WorkingDirectory={folder}
UMask=0077

# Reads every file, as a backup must, and may do nothing else that root may; it writes where its user may.
AmbientCapabilities=CAP_DAC_READ_SEARCH
CapabilityBoundingSet=CAP_DAC_READ_SEARCH
NoNewPrivileges=yes

# No PrivateTmp, PrivateDevices or ProtectKernelModules: what they hide would be missing in backups.
ProtectSystem=full
ProtectHome=read-only
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelTunables=yes
LockPersonality=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RemoveIPC=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
"""


def unit(command: tuple[str, ...], *, user: str, data_dir: Path) -> str:
    """The unit's text. Raises ConfigError for what cannot stand in one."""
    if not _USER.fullmatch(user):
        raise ConfigError(f"The user {user!r} cannot be one of this machine; name a system user with --user.")
    state = f"ReadWritePaths={_word(str(data_dir))}"
    if data_dir.parent == STATE.parent:
        state = f"StateDirectory={_word(data_dir.name)}\nStateDirectoryMode=0700"
    return _UNIT.format(
        command=" ".join(_word(word).replace("$", "$$") for word in command),
        user=user,
        state=state,
        cache=_word(f"XDG_CACHE_HOME={data_dir}/cache"),
        home=_word(f"HOME={data_dir}"),
        folder=str(data_dir).replace("%", "%%"),
    )


def _word(text: str) -> str:
    """A word as systemd reads it back; raises ConfigError for one that would need more than quoting."""
    if not text or any(not character.isprintable() for character in text):
        raise ConfigError(f"The path {text!r} cannot stand in a unit; choose a plainer one.")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"' if re.search(r"[\s'\"\\;]", text) else escaped

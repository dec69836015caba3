"""The systemd unit: accepted by systemd, one capability, and nothing in it that hides files from a backup."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from lastgood.agent.unit import USER, unit
from lastgood.errors import ConfigError

COMMAND = ("/usr/bin/env", "agent", "run", "--config", "/etc/lastgood/agent.toml")
STATE = Path("/var/lib/lastgood-agent")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze on this machine")
@pytest.mark.parametrize("data_dir", [STATE, Path("/srv/odd place/100%")])
def test_systemd_takes_the_unit(tmp_path: Path, data_dir: Path) -> None:
    path = tmp_path / "lastgood-agent.service"
    path.write_text(unit((*COMMAND[:4], '/etc/odd "place"/agent $x.toml'), user="root", data_dir=data_dir))
    ended = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    ours = [line for line in ended.stderr.splitlines() if "lastgood-agent" in line]
    assert ours == []
    assert ended.returncode == 0, ended.stderr


def test_the_agent_keeps_one_right_of_root() -> None:
    lines = unit(COMMAND, user=USER, data_dir=STATE).splitlines()
    assert [line for line in lines if line.startswith(("Ambient", "CapabilityBounding", "User="))] == [
        "User=lastgood-agent",
        "AmbientCapabilities=CAP_DAC_READ_SEARCH",
        "CapabilityBoundingSet=CAP_DAC_READ_SEARCH",
    ]
    assert "NoNewPrivileges=yes" in lines
    assert "RestartPreventExitStatus=78" in lines


def test_nothing_is_hidden_from_a_backup() -> None:
    text = unit(COMMAND, user=USER, data_dir=STATE)
    options = {line.partition("=")[0] for line in text.splitlines() if "=" in line and not line.startswith("#")}
    hiding = {"PrivateTmp", "PrivateDevices", "ProtectKernelModules", "InaccessiblePaths", "TemporaryFileSystem"}
    assert not options & (hiding | {"DynamicUser", "RootDirectory"})
    assert "ProtectHome=read-only" in text


def test_the_spools_folder_is_made_by_systemd_or_written_to_by_name() -> None:
    assert "StateDirectory=lastgood-agent\n" in unit(COMMAND, user=USER, data_dir=STATE)
    assert "ReadWritePaths=/srv/spool\n" in unit(COMMAND, user=USER, data_dir=Path("/srv/spool"))


@pytest.mark.parametrize("user", ["", "a b", "root\nExecStartPre=/bin/evil", "x" * 40, "-x"])
def test_a_user_that_is_none_is_refused(user: str) -> None:
    with pytest.raises(ConfigError, match="--user"):
        unit(COMMAND, user=user, data_dir=STATE)


def test_a_path_with_a_line_break_is_refused() -> None:
    with pytest.raises(ConfigError, match="plainer"):
        unit((*COMMAND[:4], "/etc/a\nUser=root"), user=USER, data_dir=STATE)

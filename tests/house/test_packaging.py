"""How lastgood gets onto a machine: locks, set-up scripts, image, compose file and unit."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
SCRIPTS = ["scripts/up", "scripts/test", "scripts/check", "scripts/lock", ".ci/run"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
BASE = PROJECT["project"]["dependencies"]
EXTRAS = PROJECT["project"]["optional-dependencies"]
HUB = BASE + EXTRAS["hub"]
POSTGRES = HUB + EXTRAS["postgres"]
DEV = POSTGRES + PROJECT["dependency-groups"]["dev"] + PROJECT["build-system"]["requires"]


def plain(requirement: str) -> str:
    """The normalised name in a requirement line."""
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found, requirement
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def locked(lock: Path) -> dict[str, str]:
    """Name to the line that pins it, version and marker included, without hashes."""
    lines = [line.removesuffix("\\").strip() for line in lock.read_text().splitlines() if "==" in line]
    return {plain(line): line for line in lines}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)
def test_a_lock_pins_exact_versions_with_hashes_and_names_no_address(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text
    for entry in re.split(r"\n(?=\S)", text.strip()):
        pin, *hashes = entry.replace("\\\n", "\n").splitlines()
        assert re.match(r"[a-z0-9._-]+(\[[a-z,]+\])?==\S+", pin), pin
        assert hashes, pin
        assert all(re.fullmatch(r"\s+--hash=sha256:[0-9a-f]{64}\s*", line) for line in hashes), pin


@pytest.mark.parametrize(
    ("lock", "wanted"),
    [("base", BASE), ("hub", HUB), ("postgres", POSTGRES), ("dev", DEV), ("build", ["hatchling", "editables"])],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_lock_holds_everything_that_pyproject_asks_for(lock: str, wanted: list[str]) -> None:
    missing = {plain(requirement) for requirement in wanted} - locked(ROOT / f"requirements/{lock}.txt").keys()
    assert not missing, "run scripts/lock"


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)
def test_every_lock_is_a_part_of_the_development_lock(lock: Path) -> None:
    dev = locked(ROOT / "requirements/dev.txt")
    assert {name: line.split(" ;")[0] for name, line in locked(lock).items()} == {
        name: line.split(" ;")[0] for name, line in dev.items() if name in locked(lock)
    }


def test_the_base_lock_brings_nothing_that_only_the_hub_needs() -> None:
    assert not locked(ROOT / "requirements/base.txt").keys() & {plain(requirement) for requirement in EXTRAS["hub"]}


def test_every_runtime_dependency_has_a_row_with_its_reason() -> None:
    rows = re.findall(
        r"^\| ([a-z][a-z0-9-]*) \| .+ \| .+ \| .+ \|$", (ROOT / "docs/dependencies.md").read_text(), re.M
    )
    assert sorted({plain(row) for row in rows} - {"package"}) == sorted(map(plain, POSTGRES))


@pytest.mark.parametrize("script", [*SCRIPTS, "scripts/setup.sh", "scripts/programs.sh"])
def test_a_script_can_be_read_by_bash(script: str) -> None:
    subprocess.run(["bash", "-n", ROOT / script], check=True)
    assert os.access(ROOT / script, os.X_OK) == (script in SCRIPTS)


@pytest.fixture
def strangers_folder() -> Iterator[Path]:
    """A copy of the scripts that belongs to a user without rights."""
    folder = Path(tempfile.mkdtemp(prefix="lastgood-"))
    for name in ("scripts", "requirements"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "pyproject.toml", folder)
    if os.geteuid() == 0:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, 65534, 65534)
    yield folder
    shutil.rmtree(folder)


def program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def bare_machine(folder: Path, *, python: str) -> Path:
    """A PATH with coreutils, apt-get and a python3 that answers with ``python``; no restic, no sudo."""
    path = folder / "path"
    path.mkdir()
    for name in ("bash", "basename", "cat", "dirname", "flock", "id", "mkdir", "sha256sum", "tail"):
        if found := shutil.which(name):
            (path / name).symlink_to(found)
    program(path / "apt-get", "echo 'apt-get must not be run here' >&2; exit 1")
    program(path / "python3", python)
    path.chmod(0o755)
    return path


def run_up(folder: Path, path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [shutil.which("bash") or "bash", "scripts/up"],
        cwd=folder,
        env={"PATH": str(path), "LC_ALL": "C.UTF-8"},
        user=65534 if os.geteuid() == 0 else None,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_up_without_rights_prints_the_exact_command_and_exits_78(strangers_folder: Path) -> None:
    path = bare_machine(strangers_folder, python='case "$*" in *ensurepip*) exit 1 ;; esac')
    done = run_up(strangers_folder, path)
    assert done.returncode == 78, done.stderr
    assert (
        "\n    su -c 'apt-get update && apt-get install -y --no-install-recommends restic python3-venv'\n"
        in done.stderr
    )
    assert "must not be run" not in done.stderr
    assert not (strangers_folder / ".venv").exists()


def test_up_names_sudo_where_there_is_one_that_does_not_let_us(strangers_folder: Path) -> None:
    path = bare_machine(strangers_folder, python="exit 0")
    program(path / "sudo", "exit 1")
    done = run_up(strangers_folder, path)
    assert done.returncode == 78, done.stderr
    assert "\n    sudo apt-get update && sudo apt-get install -y --no-install-recommends restic\n" in done.stderr


def test_up_refuses_an_old_python_with_its_version(strangers_folder: Path) -> None:
    path = bare_machine(strangers_folder, python='case "$1" in -V) echo Python 3.9.2 ;; *) exit 1 ;; esac')
    done = run_up(strangers_folder, path)
    assert done.returncode == 78, done.stderr
    assert "needs Python 3.11 or newer and found Python 3.9.2" in done.stderr


def test_the_compose_file_gives_the_hub_no_more_than_it_needs() -> None:
    compose = yaml.safe_load((ROOT / "deploy/compose/compose.yaml").read_text())
    hub = compose["services"]["hub"]
    assert hub["read_only"] is True
    assert hub["cap_drop"] == ["ALL"]
    assert hub["security_opt"] == ["no-new-privileges:true"]
    assert all(port.startswith("127.0.0.1:") for port in hub["ports"])
    assert not {"privileged", "cap_add", "network_mode", "user"} & hub.keys()
    # The only places that can be written are those that the image writes to.
    assert {volume.partition(":")[2] for volume in hub["volumes"]} == {"/var/lib/lastgood"}
    assert {mount.partition(":")[0] for mount in hub["tmpfs"]} == {"/tmp"}
    assert hub["environment"]["RM_METRICS_TOKEN_FILE"] == f"/run/secrets/{hub['secrets'][0]}"


def test_the_image_is_built_from_locks_and_runs_as_nobody_special() -> None:
    text = (ROOT / "Dockerfile").read_text()
    installs = re.findall(r"pip install(?! --no-deps --no-index dist/)[^&\n]*", text)
    assert installs
    assert [line for line in installs if "--require-hashes --no-deps --only-binary :all:" not in line] == []
    last = text.rpartition("\nFROM ")[2]
    assert re.search(r"^USER (\d+):\1$", last, re.M)
    assert re.search(r"^HEALTHCHECK .*CMD \[\"lastgood\", \"healthz\"\]$", last, re.M)
    assert "LASTGOOD_SERVER__DATA_DIR=/var/lib/lastgood" in last
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {name for line in re.findall(r"^COPY (?!--)(.+) \S+$", text, re.M) for name in line.split()}
    assert copied == kept


def test_the_unit_keeps_the_hub_in_its_own_folder() -> None:
    unit = configparser.RawConfigParser(strict=False, delimiters=("=",))
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(ROOT / "deploy/systemd/lastgood.service")
    service = unit["Service"]
    assert service["ProtectSystem"] == "strict"
    assert service["StateDirectory"] == "lastgood"
    assert service["CapabilityBoundingSet"] == ""
    for key in ("DynamicUser", "NoNewPrivileges", "PrivateTmp", "PrivateDevices", "ProtectHome"):
        assert service[key] == "yes", key
    # 78 is our exit code for settings that only a person can mend.
    assert service["RestartPreventExitStatus"] == "78"

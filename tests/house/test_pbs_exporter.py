"""How the exporter of Proxmox Backup Servers gets onto a machine, and what its page promises."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from lastgood.config.exporter import load_exporter
from lastgood.config.names import ENVIRONMENT_ALIASES
from lastgood.metrics import pbs
from lastgood.metrics.pbs import natrontech
from lastgood.tools.pbs.refusals import refused
from tests.config.reading import TOML, loaded
from tests.metrics.pbs.promised import PROMISED
from tests.prometheus import program

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy/pbs-exporter"
HEALTH = ["CMD", "wget", "--quiet", "--tries=1", "--spider", "http://localhost:9101/health"]
"""As it stands in compose files that are around."""


def stage(name: str) -> str:
    """One stage of the Dockerfile."""
    found = re.search(rf"^FROM \S+ AS {name}\n(.*?)(?=^FROM |\Z)", (ROOT / "Dockerfile").read_text(), re.M | re.S)
    assert found, name
    return found[1]


def lines_of(path: Path) -> dict[str, str]:
    """An environment file, as compose and systemd read it."""
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def test_the_image_of_the_exporter_holds_the_base_install_and_runs_as_nobody_special() -> None:
    built, image = stage("exporter-build"), stage("pbs-exporter")
    assert re.findall(r"-r requirements/(\S+)", built) == ["base.txt"]
    assert "--require-hashes --no-deps --only-binary :all:" in built
    assert re.search(r"^USER (\d+):\1$", image, re.M)
    assert "COPY --from=exporter-build /opt/lastgood" in image
    assert "EXPOSE 9101" in image
    assert 'ln -s "$(command -v busybox)" /usr/local/bin/wget' in image
    assert "".join(f'"{word}", ' for word in HEALTH[1:]).rstrip(", ") in image


def test_the_last_stage_is_still_that_of_the_hub() -> None:
    last = (ROOT / "Dockerfile").read_text().rpartition("\nFROM ")[2]
    assert 'ENTRYPOINT ["lastgood"]' in last


def test_the_compose_file_of_the_exporter_asks_for_no_more_than_a_port_and_a_folder() -> None:
    service = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["pbs-exporter"]
    assert service["healthcheck"]["test"] == HEALTH
    assert (service["ports"], service["env_file"]) == (["9101:9101"], [".env"])
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert service["build"] == {"context": "../..", "target": "pbs-exporter"}
    assert not {"privileged", "cap_add", "network_mode", "user"} & service.keys()
    written = {volume.partition(":")[2] for volume in service["volumes"]}
    assert {f"VOLUME {path}" for path in written} == set(re.findall(r"^VOLUME \S+", stage("pbs-exporter"), re.M))


def test_the_example_of_an_environment_is_read_whole() -> None:
    environ = lines_of(DEPLOY / ".env.example")
    found = load_exporter(environ)
    (server,) = found.servers.pbs
    assert (server.endpoint, server.snapshot_history_limit) == ("https://pbs.example.com:8007", 0)
    assert len(found.warnings) == 1
    assert "verify_tls is false" in found.warnings[0]
    commented = re.findall(r"^# ([A-Z_]{20,})=", (DEPLOY / ".env.example").read_text(), re.M)
    assert commented == ["PBS_EXPORTER__PBS__FINGERPRINT"]
    pinned = load_exporter(environ | {commented[0]: "AB:" * 31 + "AB"})
    assert pinned.warnings == []


def test_a_filled_in_environment_is_left_out_of_the_repository() -> None:
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()


def test_the_unit_keeps_the_exporter_in_its_own_folder() -> None:
    unit = configparser.RawConfigParser(strict=False, delimiters=("=",))
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(DEPLOY / "pbs-exporter.service")
    service = unit["Service"]
    assert service["ProtectSystem"] == "strict"
    assert (service["StateDirectory"], service["StateDirectoryMode"]) == ("pbs-exporter", "0700")
    assert service["CapabilityBoundingSet"] == ""
    for key in ("DynamicUser", "NoNewPrivileges", "PrivateTmp", "PrivateDevices", "ProtectHome"):
        assert service[key] == "yes", key
    assert service["RestartPreventExitStatus"] == "78"


def test_systemd_has_nothing_to_say_of_the_unit(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("no systemd-analyze on this machine; it comes with the package systemd")
    unit = tmp_path / "pbs-exporter.service"
    # It looks for the program, which is not installed here.
    text = (DEPLOY / "pbs-exporter.service").read_text()
    unit.write_text(text.replace("ExecStart=/opt/lastgood/bin/pbs-exporter", f"ExecStart={sys.executable}"))
    done = subprocess.run(
        [analyze, "verify", "--man=no", unit], capture_output=True, text=True, timeout=60, check=False
    )
    # Units of the machine itself are none of ours.
    said = [line for line in done.stderr.splitlines() if "pbs-exporter" in line]
    assert (done.returncode, said) == (0, [])


def test_prometheus_reads_the_example_of_a_scrape() -> None:
    done = subprocess.run(
        [program("promtool"), "check", "config", DEPLOY / "prometheus.yml"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def said_by_the_code() -> str:
    """All texts of the package; those that stand on several lines as one."""
    text = "\n".join(path.read_text() for path in sorted((ROOT / "src/lastgood").rglob("*.py")))
    return re.sub(r'"\s*\n\s*f?"', "", text)


def troubles() -> list[str]:
    """The messages that the page explains."""
    page = (ROOT / "docs/pbs.md").read_text().partition("| it says | so do this |\n| --- | --- |\n")[2]
    return re.findall(r"^\| `([^`]+)` \|", page, re.M)


def test_every_message_that_the_page_explains_is_one_that_the_code_says() -> None:
    code, told = said_by_the_code(), troubles()
    assert len(told) > 20
    # What the server itself says stands in brackets; `...` is what differs.
    parts = {part.strip(" ;:,") for line in told for part in re.split(r"\.\.\.|\([^)]*\)|401|403", line)}
    assert sorted(part for part in parts if len(part) > 3 and part not in code) == []


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (401, "authentication failed"),
        (403, "permission check failed"),
        (301, ""),
        (404, "Path not found."),
        (500, "x"),
        (502, "<html>"),
        (400, "datastore 'a' is unavailable: offline maintenance mode: x"),
        (400, "datastore 'a' is not mounted"),
        (400, "no such datastore 'a'"),
    ],
)
def test_the_page_explains_what_a_server_refuses_with(status: int, text: str) -> None:
    mend = re.split(r"[,(]", str(refused("pbs", status, text)).rpartition("; ")[2])
    assert any(mend[0].strip(" .") in line for line in troubles()), mend[0]


def test_the_page_names_every_variable_of_the_exporter() -> None:
    page = (ROOT / "docs/pbs.md").read_text()
    names = [alias.name for alias in ENVIRONMENT_ALIASES if alias.program == "pbs-exporter"]
    # Some stand behind others as `..._NAME`.
    assert [name for name in names if name not in page and f"..._{name.rpartition('PBS__')[2]}" not in page] == []


def test_every_metric_that_the_page_names_exists() -> None:
    page = (ROOT / "docs/pbs.md").read_text()
    known = {family.name for family in (*pbs.VOCABULARY.families, *natrontech.VOCABULARY.families)}
    named = set(re.findall(r"`(pbs_[a-z0-9_]+)(?=[`{ ])", page))
    assert len(named) > 30
    assert sorted(name for name in named - known if not name.endswith("_")) == []


def test_the_page_has_a_row_for_each_name_that_the_published_exporter_promised() -> None:
    page = (ROOT / "docs/pbs.md").read_text()
    rows = page.partition("| metric | the same | corrected |")[2].partition("\n\n")[0]
    covered = [re.compile(name.replace("*", ".*")) for name in re.findall(r"`(pbs_[a-z0-9_*]+)`", rows)]
    assert [name for name in PROMISED if not any(each.fullmatch(name) for each in covered)] == []


def test_the_example_for_the_hub_is_taken_as_it_stands() -> None:
    text = re.findall(r"```toml\n(.*?)```", (ROOT / "docs/pbs.md").read_text(), re.S)[0]
    secrets = re.findall(r'token_secret_file = "([^"]+)"', text)
    files = {TOML: text.replace("AB:CD:...", "AB:" * 31 + "AB"), **dict.fromkeys(secrets, "a-secret")}
    found = loaded(files=files)
    attic, dr = found.settings.servers.pbs
    assert (attic.name, dict(attic.targets), attic.expected_off) == (
        "attic",
        {"vm/100": 691200.0, "vm/*": 93600.0},
        False,
    )
    assert (dr.name, dr.expected_off, found.warnings) == ("dr", True, [])

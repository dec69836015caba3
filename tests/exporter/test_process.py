"""``lastgood exporter pbs`` as its user starts it: a real process on a simulated server."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from lastgood.clock import now
from tests.flow.hub import free_port, until
from tests.metrics.checker import faults
from tests.metrics.pbs.pictures import rows_of
from tests.metrics.pbs.promised import PROMISED
from tests.metrics.pbs.test_pbs import LINT_EXCEPTIONS
from tests.pbs_simulator import MONITOR, Setting, Simulator
from tests.prometheus import lint

ALONE = [sys.executable, "-c", "from lastgood.cli import pbs_exporter; pbs_exporter()"]
"""``pbs-exporter``, wherever it is installed."""

GROUPED = [sys.executable, "-m", "lastgood", "exporter", "pbs"]
ENDS_WITHIN = 5.0


def environment(more: Mapping[str, str]) -> dict[str, str]:
    strange = ("LASTGOOD_", "PBS_EXPORTER", "RM_", "RUST_LOG")
    return {**{name: value for name, value in os.environ.items() if not name.startswith(strange)}, **more}


def of_server(pbs: Simulator) -> dict[str, str]:
    """The variables that users of pbs-exporter have."""
    return {
        "PBS_EXPORTER__PBS__ENDPOINT": pbs.url,
        "PBS_EXPORTER__PBS__TOKEN_ID": MONITOR,
        "PBS_EXPORTER__PBS__TOKEN_SECRET": pbs.secret(),
        "PBS_EXPORTER__PBS__VERIFY_TLS": "false",
    }


@dataclass
class Running:
    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def get(self, path: str = "/metrics") -> httpx.Response:
        return httpx.get(f"{self.url}{path}", trust_env=False, timeout=20)

    def page(self, *promised: str) -> str:
        """The page once these families have rows."""

        def told() -> str | None:
            text = self.get().text
            return text if all(rows_of(text, name) for name in promised) else None

        return until(told, f"rows of {promised}")

    def whole(self) -> str:
        """The page once all groups were listed and all probes were well."""

        def told() -> str | None:
            text = self.page("pbs_pending_groups", "pbs_task_total", "pbs_group_last_good_timestamp_seconds")
            probes = rows_of(text, "pbs_collector_success")
            calm = rows_of(text, "pbs_pending_groups") == [" 0"] and len(probes) == 4
            return text if calm and all(row.endswith(" 1") for row in probes) else None

        return until(told, "a whole picture")

    def stop(self) -> float:
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) == 0, self.log.read_text()
        return time.monotonic() - begun


@contextmanager
def running(folder: Path, env: Mapping[str, str], *options: str, command: list[str] = ALONE) -> Iterator[Running]:
    port, log = free_port(), folder / "exporter.log"
    listen = [] if any("LISTEN" in name for name in env) else ["--listen", f"127.0.0.1:{port}"]
    told = env.get("PBS_EXPORTER__EXPORTER__LISTEN_ADDRESS", f"127.0.0.1:{port}")
    with log.open("wb") as lines:
        process = subprocess.Popen(
            [*command, *options, *listen], env=environment(env), stdout=lines, stderr=subprocess.STDOUT
        )
    try:
        one = Running(f"http://{told}", process, log)

        def answers() -> bool:
            assert process.poll() is None, log.read_text()
            try:
                return one.get("/health").status_code == 200
            except httpx.TransportError:
                return False

        until(answers, "the exporter answers")
        yield one
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def pbs() -> Iterator[Simulator]:
    with Simulator(Setting(now=int(now().timestamp()))) as simulator:
        yield simulator


@dataclass
class Seen:
    """One exporter's first page, and the whole one."""

    first: str
    whole: str
    log: str
    ended_within: float


@pytest.fixture(scope="module")
def seen(pbs: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    with running(tmp_path_factory.mktemp("exporter"), of_server(pbs)) as exporter:
        first, whole = exporter.get().text, exporter.whole()
        return Seen(first, whole, exporter.log.read_text(), exporter.stop())


@pytest.mark.parametrize("name", PROMISED)
def test_a_scrape_holds_every_promised_name_with_its_type_and_labels(name: str, seen: Seen) -> None:
    kind, labels = PROMISED[name]
    assert f"# TYPE {name} {kind}\n" in seen.whole
    told = [re.findall(r'(?:[{,])([a-z_]+)="', row) for row in rows_of(seen.whole, name)]
    assert labels in told
    assert all(row in (labels, [*labels, "namespace"]) for row in told)


def test_promtool_takes_a_scrape_of_the_exporter(seen: Seen) -> None:
    assert faults(seen.whole) == []
    code, findings = lint(seen.whole.encode())
    assert sorted(findings) == sorted(f"{name} {words}" for name, words in LINT_EXCEPTIONS.items())
    assert code == 3


def test_what_the_page_tells_of_groups_is_what_the_server_holds(seen: Seen, pbs: Simulator) -> None:
    told = sorted(int(row.rpartition(" ")[2]) for row in rows_of(seen.whole, "pbs_snapshot_count"))
    assert told == sorted(group["finished"] for group in pbs.truth()["groups"])
    assert len(rows_of(seen.whole, "pbs_snapshot_info")) == sum(told)
    assert rows_of(seen.whole, "pbs_up") == [" 1"]


def test_the_first_page_takes_less_than_two_seconds_of_processor_time_and_the_end_less_than_five(seen: Seen) -> None:
    assert float(rows_of(seen.first, "process_cpu_seconds_total")[0]) < 2.0
    assert seen.ended_within < ENDS_WITHIN


def test_the_log_says_what_is_not_kept_and_not_safe_and_holds_no_secret(seen: Seen, pbs: Simulator) -> None:
    assert seen.log.count("counters begin anew") == 1
    assert "verify_tls is false" in seen.log
    assert pbs.secret() not in seen.log + seen.whole
    assert rows_of(seen.whole, "pbs_tls_verified") == [" 0"]


def test_the_environment_beats_the_file_and_the_file_the_defaults(pbs: Simulator, tmp_path: Path) -> None:
    file = tmp_path / "exporter.toml"
    file.write_text(
        f"""
[pbs]
endpoint = "https://127.0.0.1:1"
token_id = "{MONITOR}"
token_secret = "{pbs.secret()}"
verify_tls = false
timeout_seconds = 5
snapshot_history_limit = 1

[exporter]
listen_address = "127.0.0.1:1"
log_level = "warn"
"""
    )
    env = {
        "PBS_EXPORTER__PBS__ENDPOINT": pbs.url,
        "PBS_EXPORTER__EXPORTER__LISTEN_ADDRESS": f"127.0.0.1:{free_port()}",
    }
    with running(tmp_path, env, "--config", str(file), command=GROUPED) as exporter:
        text = exporter.whole()
        groups = [row for row in rows_of(text, "pbs_snapshot_count") if not row.endswith(" 0")]
        assert len(rows_of(text, "pbs_snapshot_info")) == len(groups), "one snapshot of each group"
        assert rows_of(text, "pbs_snapshots_truncated") != [" 0"]
        assert "counters begin anew" not in exporter.log.read_text(), "the file asks for warnings only"


def test_counters_survive_a_restart_where_a_folder_is_given(pbs: Simulator, tmp_path: Path) -> None:
    state = tmp_path / "state"
    with running(tmp_path, of_server(pbs), "--state", str(state)) as exporter:
        before = rows_of(exporter.whole(), "pbs_task_total")
        assert exporter.stop() < ENDS_WITHIN
    kept = [path for path in state.iterdir() if path.is_file()]
    assert [path.name for path in kept] == ["pbs.state"]
    assert kept[0].stat().st_mode & 0o777 == 0o600
    assert state.stat().st_mode & 0o777 == 0o700
    with running(tmp_path, of_server(pbs), "--state", str(state)) as exporter:
        assert set(before) <= set(rows_of(exporter.whole(), "pbs_task_total")), "nothing is counted twice"


def test_a_server_that_is_not_there_is_down_and_the_page_is_there(tmp_path: Path, pbs: Simulator) -> None:
    env = {**of_server(pbs), "PBS_EXPORTER__PBS__ENDPOINT": "https://127.0.0.1:1", "LASTGOOD_METRICS__TOKEN": "t"}
    env["LASTGOOD_METRICS__NATRONTECH"] = "true"
    with running(tmp_path, env) as exporter:
        assert exporter.get().status_code == exporter.get("/metrics/natrontech").status_code == 401
        answer = httpx.get(f"{exporter.url}/metrics", headers={"Authorization": "Bearer t"}, trust_env=False)
        assert rows_of(answer.text, "pbs_up") == [" 0"]
        assert exporter.get("/health").status_code == 200
        assert exporter.stop() < ENDS_WITHIN


GIVEN = {
    "PBS_EXPORTER__PBS__ENDPOINT": "https://pbs.example.com:8007",
    "PBS_EXPORTER__PBS__TOKEN_ID": "exporter@pam!metrics",
    "PBS_EXPORTER__PBS__TOKEN_SECRET": "hush-hush",
}


@pytest.mark.parametrize(
    ("env", "options", "words"),
    [
        ({}, [], "No server is configured"),
        ({**GIVEN, "PBS_EXPORTER__PBS__ENDPOINT": "http://pbs.example.com:8007"}, [], "https://"),
        ({**GIVEN, "PBS_EXPORTER__PBS__TIMEOUT_SECONDS": "soon"}, [], "TIMEOUT_SECONDS"),
        (GIVEN, ["--config", "absent.toml"], "absent.toml"),
        (GIVEN, ["--listen", "nowhere"], "--listen"),
        (GIVEN, ["--state", "/dev/null/state"], "--state"),
        (GIVEN, ["--listen", "127.0.0.1:{taken}"], "Another program listens"),
    ],
    ids=["nothing", "http", "timeout", "file", "listen", "state", "port"],
)
def test_what_an_operator_must_mend_ends_with_78_and_one_sentence(
    env: Mapping[str, str], options: list[str], words: str, pbs: Simulator, tmp_path: Path
) -> None:
    arguments = [option.format(taken=pbs.port) for option in options]
    ended = subprocess.run(
        [*ALONE, *arguments],
        env=environment(env),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 78, ended.stderr
    last = ended.stderr.strip().splitlines()[-1]
    assert last.startswith("lastgood: ") and words in last
    assert "Traceback" not in ended.stderr
    assert "hush-hush" not in ended.stderr


def test_the_exporter_needs_nothing_of_the_hub() -> None:
    program = (
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in {'litestar', 'sqlalchemy', 'alembic', 'jinja2', 'argon2', 'apprise'}:\n"
        "            raise ImportError(f'{name} is not in the base install')\n"
        "sys.meta_path.insert(0, Absent())\n"
        "from lastgood.cli import pbs_exporter\n"
        "pbs_exporter()\n"
    )
    # A port that cannot be had ends it after all was imported.
    ended = subprocess.run(
        [sys.executable, "-c", program, "--listen", "192.0.2.1:9101"],
        env=environment(GIVEN),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "cannot be listened on" in ended.stderr
    assert ended.returncode == 78, ended.stderr

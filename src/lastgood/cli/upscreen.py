"""What ``lastgood up`` shows: a progress bar on a terminal, plain lines elsewhere, and the words to go on with."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.text import Text

from lastgood.errors import LastgoodError
from lastgood.hub.progress import ProgressStore
from lastgood.model.job import Outcome, Run
from lastgood.secret import Secret
from lastgood.service.folder import Folder
from lastgood.service.local import LocalPlan
from lastgood.wire import frames

SCRAPE_SECONDS = 10.0
_UNITS = ("B", "kB", "MB", "GB", "TB")


class Screen:
    """Standard output, for a person or a log."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)

    def say(self, line: str = "", style: str = "") -> None:
        """One line, as it is: names of files may hold anything that looks like markup."""
        self._console.print(Text(line, style=style))

    @contextlib.contextmanager
    def progress(self, store: ProgressStore, run_id: str) -> Iterator[None]:
        """Show how far the run is, inside the block; nothing is drawn where there is no terminal."""
        columns = (
            TextColumn("  "),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self._console, disable=not sys.stdout.isatty(), transient=True) as bar:
            task = bar.add_task("", total=None)

            def told(_host_id: str, progress: frames.Progress | None) -> None:
                if progress is not None and progress.run_id == run_id:
                    bar.update(task, total=max(progress.bytes_total, 1), completed=progress.bytes_done)

            unsubscribe = store.subscribe(told)
            try:
                yield
            finally:
                unsubscribe()

    def finished(self, run: Run) -> None:
        """One line on the backup that ended."""
        if run.outcome is Outcome.PARTIAL:
            self.say(f"The backup is incomplete: {run.reason or 'some files could not be read.'}", "yellow")
            return
        files = "" if run.files is None else f"{run.files:,} files, "
        size = "" if run.size_bytes is None else f"{size_of(run.size_bytes)} "
        snapshot = "" if run.snapshot_id is None else f": snapshot {run.snapshot_id[:8]}"
        self.say(f"Good backup of {files}{size}in {run.duration_seconds:.1f} s{snapshot}.", "green")

    def ready(
        self,
        *,
        url: str,
        scrape_at: str,
        link: str | None,
        user_name: str | None,
        folder: Folder,
        repository: str | None,
        password_file: Path,
        own_token: bool,
        plan: LocalPlan,
        started_with_sample: bool,
    ) -> None:
        """Where to look and what to do next."""
        self.say()
        self.say(f"  Page     {url}", "bold")
        if link is not None:
            self.say(f"  Sign in  {link}")
            self.say("           (works once, for a day; choose a name and a password there)")
        else:
            self.say(
                f"  Sign in  as {user_name}; if the password is lost: lastgood user reset --data-dir "
                f"{shlex.quote(str(folder.root))}"
            )
        self.say()
        if own_token:
            self.say("  Metrics, with the token read from a file of mode 0600:")
            self.say(f"    curl -H @{shlex.quote(str(folder.metrics_header_file))} http://{scrape_at}/metrics")
        else:
            self.say(f"  Metrics at http://{scrape_at}/metrics, as your settings open them.")
        self.say()
        self.say("  For prometheus.yml:")
        for line in scrape_config(scrape_at, folder.metrics_token_file if own_token else None):
            self.say(f"    {line}")
        self.say()
        cron = plan.source.schedule
        self.say("  Next:")
        if cron is not None:
            self.say(
                f'    {plan.source.paths[0]} is backed up by the schedule "{cron.cron}" ({cron.zone}) '
                "while this runs."
            )
        if started_with_sample:
            self.say('    Protect a folder of your own:   lastgood up --source /path/to/it --every "0 2 * * *"')
        else:
            self.say("    Protect another folder as well: lastgood up --source /path/to/it")
        if repository is None:
            self.say(f"    The repository lies on the same disk as what it protects: {folder.repository}")
            self.say("    A disk that dies takes both. Back up to another one as well:")
            self.say("                                    lastgood up --repository /mnt/other-disk/restic")
        self.say("    Without its password a repository is lost, so keep a copy of it elsewhere:")
        self.say(f"                                    {password_file}")
        self.say("    Ctrl-C ends hub and agent; the same command goes on where they were.")
        self.say()


def scrape_config(target: str, token_file: Path | None) -> list[str]:
    """The lines of a scrape job."""
    lines = ["scrape_configs:", "  - job_name: lastgood", "    static_configs:", f"      - targets: ['{target}']"]
    if token_file is not None:
        quoted = "'" + str(token_file).replace("'", "''") + "'"
        lines += ["    authorization:", f"      credentials_file: {quoted}"]
    return lines


async def scrape(target: str, token: Secret | None) -> str:
    """Our own metrics page, asked over the socket as Prometheus would."""
    import httpx  # only ``--once`` asks

    headers = {} if token is None else {"Authorization": f"Bearer {token.reveal()}"}
    try:
        async with httpx.AsyncClient(timeout=SCRAPE_SECONDS, trust_env=False) as client:
            answer = await client.get(f"http://{target}/metrics", headers=headers)
    except httpx.HTTPError as error:
        raise LastgoodError(f"The backup is good, but http://{target}/metrics does not answer: {error}") from error
    if answer.status_code != httpx.codes.OK:
        raise LastgoodError(
            f"The backup is good, but http://{target}/metrics answers {answer.status_code}: {answer.text[:200]}"
        )
    return answer.text


def proof(page: str, host_id: str, source_id: str) -> list[str]:
    """The lines of the metrics page that show the good backup. Raises LastgoodError if one is missing."""
    found = []
    for name, labels in (
        ("rm_host_last_backup_success", (f'host_id="{host_id}"',)),
        ("backup_source_state", (f'source="{source_id}"', 'state="good"')),
    ):
        lines = (line for line in page.splitlines() if line.startswith(f"{name}{{"))
        line = next((line for line in lines if line.endswith(" 1") and all(label in line for label in labels)), None)
        if line is None:
            raise LastgoodError(f"The backup is good, but /metrics does not show it: {name} is not 1.")
        found.append(line)
    return found


def size_of(count: float) -> str:
    """A size as people read it, in powers of 1000."""
    for unit in _UNITS[:-1]:
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} {_UNITS[-1]}"


def local_zone() -> str:
    """This machine's time zone by its name, UTC if it does not say."""
    named = os.environ.get("TZ", "").lstrip(":")
    linked = os.path.realpath("/etc/localtime").rpartition("/zoneinfo/")[2]
    for name in (named, linked):
        if name and not name.startswith("/"):
            return name.removeprefix("posix/")
    return "UTC"

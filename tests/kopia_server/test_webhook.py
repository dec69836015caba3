"""Notifications of the simulated server are Kopia's, arrive once, and only 200 counts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import parse_qs

from .simulator import KopiaServer

RECORDED = Path(__file__).parent.parent / "recordings" / "kopia" / "webhook-snapshot-report.txt"
WEB = "root@web1:/var/www"


class Ear:
    """Listens, keeps what came, answers with one status."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.heard: list[tuple[str, dict[str, str], str]] = []
        self.url = ""


@contextmanager
def ear(status: int = 200) -> Iterator[Ear]:
    listening = Ear(status)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            listening.heard.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            self.send_response(listening.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_PUT = do_POST  # noqa: N815 - the library's name

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        listening.url = f"http://127.0.0.1:{server.server_address[1]}/hooks/kopia"
        try:
            yield listening
        finally:
            server.shutdown()
            thread.join()


def site(**more: object) -> KopiaServer:
    attempts = [{"hours_ago": 25, "size": 10**9}, {"hours_ago": 1, "size": 1_500_000_000, "files": 1200} | more]
    return KopiaServer(size="none", sources=[{"source": WEB, "attempts": attempts}])


def test_a_run_that_died_is_reported_as_recorded() -> None:
    with ear() as listening, KopiaServer(size="none") as server:
        source = "bob@laptop:/Users/bob/Downloads"
        error = (
            "snapshot task: unable to create local filesystem: unable to determine entry type: "
            "lstat /Users/bob/Downloads: no such file or directory"
        )
        told = server.notify(listening.url, {"source": source, "ended": "died", "error": error})
    assert told == {"delivered": True, "status": 200}
    ((_, headers, body),) = listening.heard
    assert headers["subject"] == "Failed to create a snapshot of /Users/bob/Downloads on host0000"
    recorded = RECORDED.read_text().split("Generated at")[0].replace("+0100", "+0200").replace("01:00:00", "02:00:00")
    assert body.split("Generated at")[0] == recorded
    assert body.endswith(" by Kopia 0.23.1.\n\nhttps://kopia.io/")


def test_a_report_has_sizes_with_their_change_and_failed_entries() -> None:
    with ear() as listening, site(ended="fatal", failed=2) as server:
        server.notify(listening.url, WEB, method="PUT", headers={"X-Lastgood-Token": "t"})
    ((_, headers, body),) = listening.heard
    assert headers["x-lastgood-token"] == "t"
    assert "  Status:      fatal\n  Start:       Fri, 21 Aug 2026 13:00:00 +0200\n  Duration:    5m0s\n" in body
    assert "  Size:        1.5 GB (+500 MB)\n  Files:       1200 (+200)\n  Directories: 80\n" in body
    assert "\n  Failed Entries:\n\n  - d0/f0: permission denied\n  - d1/f1: permission denied" in body


def test_a_batch_is_one_message_and_an_own_template_one_encoded_line_each() -> None:
    odd = {"source": 'kim@win:C:\\Büro & "Akten"', "attempts": [{"hours_ago": 2}]}
    attempts = [{"hours_ago": 1, "ended": "warning", "ignored": 3}]
    template = {
        "headers": {"Content-Type": "text/x-report"},
        "line": "user={user}&host={host}&path={path}&status={status}",
    }
    with ear() as listening, KopiaServer(size="none", sources=[odd, {"source": WEB, "attempts": attempts}]) as server:
        server.notify(listening.url, odd["source"], WEB)
        server.notify(listening.url, odd["source"], WEB, template=template)
    (_, headers, text), (_, own, lines) = listening.heard
    assert headers["subject"] == "Successfully created 2 snapshots on host0000"
    assert (text.count("Path: "), own["content-type"]) == (2, "text/x-report")
    first, second = (parse_qs(line) for line in lines.split("\n"))
    assert (first["path"], first["status"]) == (['C:\\Büro & "Akten"'], ["success"])
    assert (second["user"], second["status"]) == (["root"], ["warnings"])


def test_an_own_template_has_whole_seconds_or_the_manifests_nanoseconds() -> None:
    template = {"line": "{start} {start_ns} {end_ns}"}
    with ear() as listening, site(start="2026-08-21T10:00:00.25Z", end="2026-08-21T10:00:09.75Z") as server:
        server.notify(listening.url, WEB, template=template)
    ((_, _, line),) = listening.heard
    assert line == "2026-08-21T10%3A00%3A00Z 1787306400250000000 1787306409750000000"


def test_anything_but_200_is_not_delivered_and_nothing_is_sent_twice() -> None:
    with ear(204) as listening, site() as server:
        assert server.notify(listening.url, WEB) == {"delivered": False, "status": 204}
        sent = server.stats()["sent"]
    assert (len(listening.heard), len(sent)) == (1, 1)
    with site() as server:
        assert server.notify(listening.url, WEB)["delivered"] is False  # nobody listens there any more


def test_a_failed_maintenance_is_a_generic_error() -> None:
    with ear() as listening, site() as server:
        server.notify(listening.url, error="error running maintenance: clock skew")
    ((_, headers, body),) = listening.heard
    assert headers["subject"] == "Kopia has encountered an error during Maintenance on host0000"
    assert body.startswith("Operation: maintenance\nStarted:   Fri, 21 Aug 2026 13:59:57 +0200\nFinished:  ")
    assert "\n\nerror running maintenance: clock skew\n\nGenerated at " in body

"""What ``lastgood up`` and the people who use it leave in the audit log of a real hub, from the first second on."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner, Result

from lastgood.cli.app import app
from tests.flow.hub import Client, until, up, value


def audit(*words: str) -> Result:
    return CliRunner().invoke(app, ("audit", *words))


def test_a_hub_from_its_first_second_to_its_end_is_in_its_log_and_the_log_is_whole(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with up(folder) as hub:
        link = hub.said(r"https?://\S+/welcome/\S+")[0]
        with Client(hub.url) as anna:
            anna.welcome(link)
            source = anna.get("sources")["items"][0]
            anna.back_up(source["id"])
            refused = anna.send("DELETE", "hosts/none")
            assert refused.status_code == 404
            counted = until(
                lambda: value(anna.metrics(folder), "dockmesh_audit_log_entries_total", action="backup.run"),
                "the run is counted",
            )
            assert counted == 1
            assert value(anna.metrics(folder), "dockmesh_audit_log_entries_total", action="stack.deploy") == 0
        listed = audit("list", "--data-dir", str(folder), "--json")
        assert listed.exit_code == 0, listed.output
        found = [(one["action"], one["outcome"], one["actor"]["kind"]) for one in json.loads(listed.stdout)][::-1]
        for told in (
            ("audit.begin", "done", "system"),
            ("hub.start", "done", "system"),
            ("host.enrol", "done", "local"),
            ("source.write", "done", "local"),
            ("auth.welcome", "done", "person"),
            ("backup.run", "done", "person"),
            ("host.remove", "refused", "person"),
        ):
            assert told in found, told
        assert link.rpartition("/")[2] not in listed.stdout
        running = audit("verify", "--data-dir", str(folder))
        assert running.exit_code == 0, running.output
        head = audit("head", "--data-dir", str(folder), "--json")
        (tmp_path / "head.json").write_text(head.stdout)
    ended = audit("verify", "--data-dir", str(folder), "--head", str(tmp_path / "head.json"), "--json")
    assert ended.exit_code == 0, ended.stdout
    proof = json.loads(ended.stdout)
    assert proof["whole"]
    assert proof["rows"] > json.loads(head.stdout)["seq"], "its end is there as well"
    assert proof["notes"] == []

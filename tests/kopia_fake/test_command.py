"""The fake ``kopia`` answers as the real one of its release and route does, and writes nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .fake import FakeKopia
from .scenario import VERSIONS, Scenario

LIST = ("snapshot", "list", "--all", "--incomplete", "--json")


def test_one_seed_is_one_output_and_another_seed_another(tmp_path: Path) -> None:
    printed = []
    for number, seed in enumerate((7, 7, 8)):
        with FakeKopia(tmp_path / str(number), seed=seed) as kopia:
            printed.append(kopia.run(*LIST).stdout)
    assert printed[0] == printed[1] != printed[2]


def test_a_list_is_one_element_a_line_after_a_space_without_a_line_end(tmp_path: Path) -> None:
    with FakeKopia(tmp_path) as kopia:
        text = kopia.run(*LIST).stdout.decode()
        nothing = kopia.run("server", "user", "list", "--json").stdout
    lines = text.split("\n")
    assert (lines[0], lines[-1]) == ("[", "]")
    assert all(line.startswith(' {"id":"') and line.endswith(",") for line in lines[1:-2])
    assert len(json.loads(text)) == 30
    assert nothing == b"[\n]"


@pytest.mark.parametrize("version", VERSIONS)
def test_each_release_prints_what_it_knows_and_ends_at_what_it_does_not(version: str, tmp_path: Path) -> None:
    with FakeKopia(tmp_path, version=version) as kopia:
        release = kopia.scenario.release
        assert kopia.run("--version").stdout.startswith(f"{version} build: ".encode())
        manifests = json.loads(kopia.run(*LIST).stdout)
        verify = kopia.run("snapshot", "verify", "--json")
        quiet = kopia.run("snapshot", "list", "--disable-file-logging")
        runs = json.loads(kopia.run("maintenance", "info", "--json").stdout)["schedule"]["runs"]
    assert any("retentionReason" in one for one in manifests) == (release >= (11, 0))
    assert all(one["startTime"].endswith("+02:00" if release < (12, 0) else "Z") for one in manifests)
    assert ("extra" in runs["advance-epoch"][0]) == (release >= (22, 0))
    unknown = b"kopia: error: unknown long flag '--json', try --help\n"
    assert (verify.stderr == unknown) == (release < (21, 0))
    assert (b"unknown long flag" in quiet.stderr) == (release < (21, 0))


def test_through_a_server_there_is_no_repository_and_only_what_the_account_may_see(tmp_path: Path) -> None:
    with FakeKopia(tmp_path, route="server", size="M") as kopia:
        status = json.loads(kopia.run("repository", "status", "--json").stdout)
        blobs = kopia.run("blob", "stats", "--raw")
        everybody = json.loads(kopia.run(*LIST).stdout)
        kopia.change(route="server-acl", account="root@host0001")
        own = json.loads(kopia.run(*LIST).stdout)
        kopia.change(account="nobody@nowhere")
        nothing = kopia.run(*LIST)
    assert (status["uniqueIDHex"], status["storage"]) == ("", {"type": "", "config": None})
    assert (blobs.returncode, blobs.stdout) == (1, b"")
    assert b"operation supported only on direct repository" in blobs.stderr
    assert {(one["source"]["userName"], one["source"]["host"]) for one in own} == {("root", "host0001")}
    assert 0 < len(own) < len(everybody)
    assert (nothing.returncode, nothing.stdout) == (0, b"[\n]")


def test_without_a_connection_or_a_right_password_it_says_so_and_prompts_on_stdout(tmp_path: Path) -> None:
    with FakeKopia(tmp_path) as kopia:
        lost = kopia.run(*LIST, KOPIA_CONFIG_PATH=str(tmp_path / "none.config"))
        wrong = kopia.run(*LIST, KOPIA_PASSWORD="guess")
        prompt = kopia.run(*LIST, KOPIA_PASSWORD="")
    assert (lost.returncode, b"repository is not connected" in lost.stderr) == (1, True)
    assert (wrong.returncode, b"invalid repository password" in wrong.stderr) == (1, True)
    assert (prompt.returncode, b"password prompt error" in prompt.stderr) == (1, True)
    assert prompt.stdout == b"Enter password to open repository: "


def test_a_writing_command_is_refused_remembered_and_fails_the_test(tmp_path: Path) -> None:
    kopia = FakeKopia(tmp_path)
    refused = kopia.run("policy", "set", "--global", "--keep-latest=1")
    assert refused.returncode == 1
    assert kopia.run("repository", "connect", "filesystem", "--path", "/x").returncode == 1
    assert [argv[:2] for argv in kopia.written()] == [["policy", "set"], ["repository", "connect"]]
    with pytest.raises(AssertionError, match="writes to the repository"), kopia:
        pass


def test_connecting_read_only_is_allowed_and_gives_the_identity_that_status_tells(tmp_path: Path) -> None:
    with FakeKopia(tmp_path) as kopia:
        kopia.run(
            *("repository", "connect", "filesystem", "--path", "/x", "--readonly", "--no-check-for-updates"),
            *("--override-hostname", "watch", "--override-username=eye", "--no-persist-credentials"),
            KOPIA_CONFIG_PATH=str(tmp_path / "own" / "nas.config"),
        )
        told = kopia.run("repository", "status", "--json", KOPIA_CONFIG_PATH=str(tmp_path / "own" / "nas.config"))
    client = json.loads(told.stdout)["clientOptions"]
    assert (client["hostname"], client["username"], client["readonly"]) == ("watch", "eye", True)


def test_each_call_is_remembered_with_its_environment_its_input_and_its_group(tmp_path: Path) -> None:
    with FakeKopia(tmp_path) as kopia:
        kopia.run("blob", "stats", "--raw", KOPIA_CHECK_FOR_UPDATES="false", TZ="UTC")
        (call,) = kopia.calls("blob stats")
    assert call["argv"] == ["blob", "stats", "--raw"]
    assert call["environment"] | {"KOPIA_CHECK_FOR_UPDATES": "false", "TZ": "UTC"} == call["environment"]
    assert (call["stdin"], call["stdin_is_a_tty"], call["writes"]) == ("/dev/null", False, False)
    assert call["pid"] and call["group"] and call["started"]


def test_the_newest_few_of_each_source_and_those_of_one_source_can_be_asked_for(tmp_path: Path) -> None:
    with FakeKopia(tmp_path) as kopia:
        few = json.loads(kopia.run(*LIST, "-n", "2").stdout)
        one = json.loads(kopia.run(*LIST, "root@host0000:/data/00000/below").stdout)
        shown = kopia.run("manifest", "show", one[-1]["id"]).stdout.decode()
    assert len(few) == 6
    assert {told["source"]["path"] for told in one} == {"/data/00000"}
    text = "\n".join(line for line in shown.splitlines() if not line.startswith("//"))
    assert json.loads(text)["source"] == one[-1]["source"]


def test_a_scenario_that_makes_no_sense_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="version '9' is unknown"):
        Scenario(version="9")
    with pytest.raises(ValueError, match="route 'tunnel' is unknown"):
        FakeKopia(tmp_path).change(route="tunnel")

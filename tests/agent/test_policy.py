"""What the local policy file allows, and what it stops when it cannot be trusted."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from lastgood.agent.agent import Agent
from lastgood.agent.ending import Cannot
from lastgood.agent.policy import DEADLINES, Policy, read_policy
from lastgood.errors import ConfigError
from lastgood.model.job import RunKind
from tests.agent.working import Place


def written(folder: Path, text: str, mode: int = 0o644) -> Path:
    path = folder / "agent-policy.toml"
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("path", [None, Path("/nowhere/agent-policy.toml")])
def test_without_a_file_everything_is_done_but_what_writes_to_the_host(path: Path | None) -> None:
    policy = read_policy(path)
    for kind in (RunKind.BACKUP, RunKind.CHECK, RunKind.FORGET, RunKind.PRUNE, RunKind.UNLOCK, RunKind.INIT):
        policy.check_kind(kind)
        assert policy.deadline(kind) == DEADLINES[kind]
    with pytest.raises(Cannot, match="allow_restore"):
        policy.check_kind(RunKind.RESTORE)
    for kind in (RunKind.UPDATE, RunKind.DIFF):
        with pytest.raises(Cannot, match="does no"):
            policy.check_kind(kind)


def test_the_file_allows_restores_below_its_folders_and_sets_deadlines(tmp_path: Path) -> None:
    text = f'allow_restore = ["{tmp_path}/in"]\nkinds = ["backup", "restore"]\n[deadlines]\nbackup = "1d12h"\n'
    policy = read_policy(written(tmp_path, text))
    policy.check_kind(RunKind.RESTORE)
    assert policy.deadline(RunKind.BACKUP) == 36 * 3600
    assert policy.deadline(RunKind.CHECK) == DEADLINES[RunKind.CHECK]
    with pytest.raises(Cannot, match="leaves that kind out") as refused:
        policy.check_kind(RunKind.PRUNE)
    assert refused.value.cause == "refused_by_policy"


@pytest.mark.parametrize(
    "text",
    [
        "allow_restore = true",
        'allow_restore = ["srv"]',
        'allow_restore = ["/srv/../etc"]',
        'kinds = ["backups"]',
        'allow_exec = ["/bin"]',
        '[deadlines]\nbackup = "long"',
        '[deadlines]\nbackup = "0s"',
        "not toml",
        "\x00",
    ],
)
def test_a_file_that_says_something_else_is_refused_with_its_name(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=r"agent-policy\.toml"):
        read_policy(written(tmp_path, text))


@pytest.mark.parametrize("mode", [0o666, 0o664, 0o602])
def test_a_file_that_others_may_change_is_not_believed(tmp_path: Path, mode: int) -> None:
    with pytest.raises(ConfigError, match="could be changed by others"):
        read_policy(written(tmp_path, 'allow_restore = ["/"]', mode))


def a_policy(tmp_path: Path) -> Policy:
    (tmp_path / "in").mkdir()
    return Policy(restore_folders=(tmp_path / "in",))


def test_a_new_and_an_empty_folder_are_taken(tmp_path: Path) -> None:
    policy = a_policy(tmp_path)
    assert policy.restore_target(str(tmp_path / "in" / "new" / "deep")) == tmp_path / "in" / "new" / "deep"
    assert policy.restore_target(str(tmp_path / "in")) == tmp_path / "in"


def test_nothing_that_is_there_is_written_over(tmp_path: Path) -> None:
    policy = a_policy(tmp_path)
    (tmp_path / "in" / "full").mkdir()
    (tmp_path / "in" / "full" / "letter").write_text("mine")
    for name in ("full", "full/letter"):
        with pytest.raises(Cannot) as refused:
            policy.restore_target(str(tmp_path / "in" / name))
        assert refused.value.cause == "target_not_empty"


def test_no_way_leads_out_of_the_allowed_folders(tmp_path: Path) -> None:
    policy = a_policy(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "in" / "link").symlink_to(tmp_path / "out")
    (tmp_path / "in" / "round").symlink_to(tmp_path / "in" / "round")
    for name in ("in/link", "in/link/deep", "in/round/x", "in/../out", "out", "inside"):
        with pytest.raises(Cannot):
            policy.restore_target(f"{tmp_path}/{name}")
    for name in ("in", "~/in", "", "/\0"):
        with pytest.raises(Cannot, match="absolute"):
            policy.restore_target(name)


def test_an_environment_file_is_not_taken_from_where_a_hub_has_things_restored(tmp_path: Path) -> None:
    policy = a_policy(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "in")
    for name in (f"{tmp_path}/in/env", f"{tmp_path}/link/deep/env", f"{tmp_path}/x/../in/env"):
        with pytest.raises(ConfigError, match="may not be the host's own"):
            policy.check_environment_file(name)
    with pytest.raises(ConfigError, match="cannot be looked at"):
        policy.check_environment_file("/\0")
    for own in (None, f"{tmp_path}/env", f"{tmp_path}/inside"):
        policy.check_environment_file(own)
    Policy(restore_folders=(Path("/"),)).check_environment_file(f"{tmp_path}/env")


async def test_an_agent_does_not_start_on_a_policy_that_it_cannot_use(tmp_path: Path) -> None:
    place = Place(tmp_path)
    path = written(tmp_path, "allow_restore = what")
    with pytest.raises(ConfigError, match=r"agent-policy\.toml"):
        await Agent(place.config("ws://127.0.0.1:9/ws/agent"), policy_file=path).run(asyncio.Event())

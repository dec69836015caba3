"""The secret key file: made once, kept, and refused when it cannot be trusted."""

from __future__ import annotations

import base64
import contextlib
import multiprocessing
import os
import shutil
import stat
import tempfile
from pathlib import Path

import pytest

from lastgood.config.keyfile import load_or_make_key
from lastgood.errors import ConfigError

AS_ROOT = os.geteuid() == 0
NOBODY = 65534


def test_an_absent_file_is_made_private_and_read_again(tmp_path):
    path = tmp_path / "secret.key"
    key = load_or_make_key(path)
    assert len(key) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert base64.b64decode(path.read_text()) == key
    assert load_or_make_key(path) == key
    assert [each.name for each in tmp_path.iterdir()] == ["secret.key"]


def test_two_files_hold_different_keys(tmp_path):
    assert load_or_make_key(tmp_path / "a") != load_or_make_key(tmp_path / "b")


def test_an_existing_key_is_never_overwritten(tmp_path):
    path = tmp_path / "secret.key"
    load_or_make_key(path, bytes(range(32)))
    assert load_or_make_key(path, bytes(32)) == bytes(range(32))


@pytest.mark.parametrize(
    "content", [b"", b"short", base64.b64encode(bytes(31)), base64.b64encode(bytes(33)), b"*" * 44]
)
def test_a_file_without_a_whole_key_is_refused_and_left_alone(tmp_path, content):
    path = tmp_path / "secret.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="does not hold a secret key of 32 bytes"):
        load_or_make_key(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o777])
def test_a_file_open_to_others_is_refused_with_the_command_that_mends_it(tmp_path, mode):
    path = tmp_path / "secret.key"
    load_or_make_key(path)
    path.chmod(mode)
    with pytest.raises(ConfigError, match=f"mode {mode:04o}.*run: chmod 600 {path}"):
        load_or_make_key(path)


@pytest.mark.parametrize("mode", [0o400, 0o600])
def test_a_file_for_its_owner_alone_is_read(tmp_path, mode):
    path = tmp_path / "secret.key"
    key = load_or_make_key(path)
    path.chmod(mode)
    assert load_or_make_key(path) == key


def test_a_missing_folder_is_a_sentence_with_the_path(tmp_path):
    with pytest.raises(ConfigError, match=r"Cannot use the secret key file .*no such file or directory"):
        load_or_make_key(tmp_path / "absent" / "secret.key")


def test_a_link_that_leads_nowhere_is_a_sentence_and_is_left_alone(tmp_path):
    path = tmp_path / "secret.key"
    path.symlink_to(tmp_path / "unmounted")
    with pytest.raises(ConfigError, match="no such file or directory"):
        load_or_make_key(path)
    assert [each.name for each in tmp_path.iterdir()] == ["secret.key"]


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_key_of_another_length_is_not_made(tmp_path, length):
    with pytest.raises(ValueError, match="32 bytes"):
        load_or_make_key(tmp_path / "secret.key", bytes(length))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_its_place_is_a_sentence(tmp_path):
    with pytest.raises(ConfigError, match="is a directory"):
        load_or_make_key(tmp_path)


def _make_in_turn(path, start, answers):
    start.wait()
    answers.put(load_or_make_key(path))


def test_several_processes_that_start_at_once_agree_on_one_key(tmp_path):
    context = multiprocessing.get_context("spawn")
    start, answers = context.Event(), context.Queue()
    path = tmp_path / "secret.key"
    processes = [context.Process(target=_make_in_turn, args=(path, start, answers)) for _ in range(4)]
    for process in processes:
        process.start()
    start.set()
    keys = {answers.get(timeout=60) for _ in processes}
    for process in processes:
        process.join(60)
    assert keys == {load_or_make_key(path)}


@pytest.fixture
def open_folder():
    # pytest's own folders are closed to other users.
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@contextlib.contextmanager
def _as_nobody():
    groups = os.getgroups()
    os.setgroups([])
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


@pytest.mark.skipif(not AS_ROOT, reason="needs root to become another user")
def test_another_users_key_is_refused_and_none_is_made_where_it_may_not_be(open_folder):
    load_or_make_key(open_folder / "secret.key")
    for name in ("secret.key", "other.key"):
        with _as_nobody(), pytest.raises(ConfigError, match="permission denied"):
            load_or_make_key(open_folder / name)


@pytest.mark.skipif(not AS_ROOT, reason="needs root to give a file to a group")
def test_a_mounted_key_of_root_may_be_readable_by_our_group(open_folder):
    path = open_folder / "secret.key"
    key = load_or_make_key(path)
    os.chown(path, 0, NOBODY)
    path.chmod(0o640)
    with _as_nobody():
        assert load_or_make_key(path) == key
    path.chmod(0o644)
    with _as_nobody(), pytest.raises(ConfigError, match="chmod 600"):
        load_or_make_key(path)

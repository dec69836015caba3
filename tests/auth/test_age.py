"""Locked files open with their key, whole or not at all, and the ``age`` program reads and writes the same."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from lastgood.auth.age import (
    PIECE_BYTES,
    Locking,
    Opened,
    RecoveryKey,
    Unopened,
    check_recipient,
    mint_recovery_key,
    recipient_of,
)
from lastgood.errors import ConfigError
from lastgood.secret import Secret

KEY = mint_recovery_key(b"k" * 32)
SIZES = (0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 2 * PIECE_BYTES, 3 * PIECE_BYTES + 5)


def locked(data: bytes, key: RecoveryKey = KEY) -> bytes:
    out = io.BytesIO()
    locking = Locking(out, recipient=key.recipient)
    for start in range(0, len(data), 50_000):
        locking.write(data[start : start + 50_000])
    locking.close()
    return out.getvalue()


def opened(blob: bytes, key: RecoveryKey = KEY) -> bytes:
    return Opened(io.BytesIO(blob), key=key.secret).read()


@pytest.mark.parametrize("size", SIZES)
def test_what_was_locked_opens_with_its_key(size: int) -> None:
    data = os.urandom(size)
    assert opened(locked(data)) == data


def test_a_passphrase_opens_what_it_locked_and_no_other_does() -> None:
    out = io.BytesIO()
    locking = Locking(out, passphrase=Secret("correct horse"))
    locking.write(b"hello")
    locking.close()
    assert Opened(io.BytesIO(out.getvalue()), passphrase=Secret("correct horse")).read() == b"hello"
    with pytest.raises(Unopened, match="this passphrase"):
        Opened(io.BytesIO(out.getvalue()), passphrase=Secret("battery staple"))
    with pytest.raises(Unopened, match="--passphrase-file"):
        Opened(io.BytesIO(out.getvalue()), key=KEY.secret)
    with pytest.raises(Unopened, match="--recovery-key-file"):
        Opened(io.BytesIO(locked(b"")), passphrase=Secret("correct horse"))


def test_another_kits_key_is_told_from_a_mistyped_one() -> None:
    with pytest.raises(Unopened, match="older kit"):
        opened(locked(b"hello"), mint_recovery_key())
    text = KEY.secret.reveal()
    other = "Q" if text[30] != "Q" else "P"
    with pytest.raises(ConfigError, match="mistyped"):
        recipient_of(Secret(text[:30] + other + text[31:]))
    with pytest.raises(ConfigError, match="no recipient"):
        check_recipient("age1qqqq")


def test_a_key_opens_however_it_was_copied_and_never_shows_itself() -> None:
    text = KEY.secret.reveal()
    assert recipient_of(Secret(f" {text[:20]} {text[20:].lower()}".upper() + "\n")) == KEY.recipient
    assert text not in repr(KEY)


def test_every_byte_that_is_altered_is_noticed() -> None:
    blob = locked(b"hello" * 20)
    for place in range(len(blob)):
        altered = blob[:place] + bytes([blob[place] ^ 1]) + blob[place + 1 :]
        with pytest.raises(Unopened):
            opened(altered)


def test_a_head_spelt_otherwise_is_noticed_even_if_it_means_the_same_bytes() -> None:
    """Base64 of 32 bytes ends in a character with two spare bits, which once could be altered unseen."""
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    blob = locked(b"hello")
    end = blob.index(b"\n", blob.index(b"--- "))
    value = alphabet.index(blob[end - 1 : end])
    altered = blob[: end - 1] + alphabet[value ^ 1 : (value ^ 1) + 1] + blob[end:]
    with pytest.raises(Unopened, match="altered"):
        opened(altered)


@pytest.mark.parametrize("cut", [0, 1, 10, 21, 60, 150, 200, 200 + PIECE_BYTES, -17, -16, -1])
def test_a_file_that_is_cut_off_is_never_taken_for_whole(cut: int) -> None:
    with pytest.raises(Unopened):
        opened(locked(os.urandom(2 * PIECE_BYTES + 100))[:cut])


def test_pieces_that_change_places_are_noticed() -> None:
    blob = locked(os.urandom(3 * PIECE_BYTES))
    piece = PIECE_BYTES + 16
    head = len(blob) - 3 * piece
    with pytest.raises(Unopened):
        opened(blob[:head] + blob[head + piece : head + 2 * piece] + blob[head : head + piece] + blob[-piece:])
    with pytest.raises(Unopened):
        opened(blob + b"x")


def test_a_head_that_asks_for_endless_work_is_refused() -> None:
    out = io.BytesIO()
    Locking(out, passphrase=Secret("correct horse")).close()
    with pytest.raises(Unopened, match="more work"):
        Opened(io.BytesIO(out.getvalue().replace(b" 17\n", b" 40\n", 1)), passphrase=Secret("correct horse"))


@pytest.mark.skipif(shutil.which("age") is None, reason="the program age is not installed")
def test_the_program_age_reads_ours_and_we_read_what_it_wrote(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(KEY.secret.reveal() + "\n")
    for size in SIZES:
        data = os.urandom(size)
        read = subprocess.run(
            ["age", "-d", "-i", tmp_path / "key"], input=locked(data), capture_output=True, check=True, timeout=60
        )
        assert read.stdout == data
        wrote = subprocess.run(["age", "-r", KEY.recipient], input=data, capture_output=True, check=True, timeout=60)
        assert opened(wrote.stdout) == data


def test_a_file_of_the_program_age_opens() -> None:
    """Written by age 1.1.1 for ``KEY``; so that the format is held where that program is not at hand."""
    assert opened(bytes.fromhex(OF_AGE)) == b"hello"


OF_AGE = (
    "6167652d656e6372797074696f6e2e6f72672f76310a2d3e205832353531392035744b725373654b495a364a4470504f3170"
    "715745706a50666258756a735133464f567668595a644a42670a4c656f5146552b73484d66416c7551656a75684e6353314e"
    "2f4a597141325839514c7977773167416b50380a2d2d2d206a3365784a304a2b31722b7a58342f2b3453304a464756756630"
    "7754715271394e6437782b7677514170450aca0fd8180e2339de01785f01b4cc84b55114430e2917e83d705d27ed60a81fc4"
    "abf2a90c66"
)

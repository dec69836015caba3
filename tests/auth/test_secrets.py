"""Tokens, derived keys and sealed columns."""

from __future__ import annotations

import hashlib
import hmac
import re

import pytest

from lastgood.auth.secrets import TOKEN_BYTES, Sealer, key_name, keyed_digest, mint_token, subkey
from lastgood.errors import ConfigError

MASTER = bytes(range(32))


def test_a_token_names_its_kind_and_is_safe_in_a_url():
    token = mint_token("link").reveal()
    assert re.fullmatch(r"lg_link_[A-Za-z0-9_-]{32}", token)
    assert mint_token("link").reveal() != token


def test_a_token_carries_all_the_random_bits_it_was_given():
    one, other = bytes(24), bytes(23) + b"\x01"
    assert mint_token("link", one) != mint_token("link", other)
    assert TOKEN_BYTES * 8 >= 178


@pytest.mark.parametrize(("kind", "entropy"), [("link", bytes(23)), ("Link", bytes(24)), ("", bytes(24))])
def test_a_token_is_not_minted_from_too_little(kind, entropy):
    with pytest.raises(ValueError, match="a token needs"):
        mint_token(kind, entropy)


def test_a_derived_key_is_that_of_rfc_5869_and_differs_by_purpose():
    extracted = hmac.new(bytes(32), MASTER, hashlib.sha256).digest()
    by_hand = hmac.new(extracted, b"lastgood 1 sessions\x01", hashlib.sha256).digest()
    assert subkey(MASTER, "sessions") == by_hand
    assert len({subkey(MASTER, "sessions"), subkey(MASTER, "columns"), subkey(bytes(32), "sessions"), MASTER}) == 4


def test_a_key_is_named_without_being_told():
    assert re.fullmatch(r"[0-9a-f]{16}", key_name(MASTER))
    assert key_name(MASTER) != key_name(bytes(32))


def test_a_digest_depends_on_key_purpose_and_token():
    digests = {
        keyed_digest(MASTER, "api", "t"),
        keyed_digest(bytes(32), "api", "t"),
        keyed_digest(MASTER, "ap", "it"),
        keyed_digest(MASTER, "api", "u"),
    }
    assert len(digests) == 4
    assert keyed_digest(MASTER, "api", "\udcff") != keyed_digest(MASTER, "api", "?")


@pytest.mark.parametrize("plaintext", [b"", b"restic password", bytes(100_000)])
def test_what_is_sealed_opens_for_the_same_row(plaintext):
    sealer = Sealer(subkey(MASTER, "columns"))
    blob = sealer.seal("01ROW", plaintext)
    assert sealer.open("01ROW", blob) == plaintext
    assert not plaintext or plaintext not in blob


def test_the_same_text_is_sealed_differently_each_time():
    sealer = Sealer(subkey(MASTER, "columns"))
    assert sealer.seal("r", b"x") != sealer.seal("r", b"x")


def test_a_sealed_value_does_not_open_for_another_row_or_with_another_key():
    blob = Sealer(MASTER).seal("r1", b"x")
    with pytest.raises(ConfigError, match="stored secret of r2 does not open with this secret key file"):
        Sealer(MASTER).open("r2", blob)
    with pytest.raises(ConfigError, match="put back the key file"):
        Sealer(bytes(32)).open("r1", blob)


def test_a_sealed_value_with_any_bit_changed_does_not_open():
    sealer = Sealer(MASTER)
    blob = sealer.seal("r", b"secret")
    for position in range(len(blob)):
        altered = bytes(byte ^ (position == place) for place, byte in enumerate(blob))
        with pytest.raises(ConfigError):
            sealer.open("r", altered)


@pytest.mark.parametrize("blob", [b"", b"\x01", b"\x01" + bytes(12), b"\x02" + bytes(40)])
def test_what_was_never_sealed_does_not_open(blob):
    with pytest.raises(ConfigError):
        Sealer(MASTER).open("r", blob)


def test_a_sealer_does_not_show_its_key():
    assert repr(Sealer(MASTER)) == "Sealer()"

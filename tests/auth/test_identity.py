"""Keys of hub and agents: names, signatures, and what a signature does not cover."""

from __future__ import annotations

import base64
import hashlib

import pytest

from lastgood.auth.identity import fingerprint, key_pair, mint_key_pair, sign, verify

PAIR = mint_key_pair(bytes(range(32)))


def test_a_pair_follows_from_its_private_key():
    assert key_pair(PAIR.private_key) == PAIR
    assert (len(PAIR.private_key), len(PAIR.public_key)) == (32, 32)
    assert mint_key_pair() != mint_key_pair()


def test_the_key_is_that_of_rfc_8032():
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert key_pair(seed).public_key.hex() == public


def test_a_pair_does_not_show_its_private_key():
    assert repr(PAIR.private_key) not in repr(PAIR)


def test_a_fingerprint_is_what_people_know_from_ssh():
    text = PAIR.fingerprint
    assert text == fingerprint(PAIR.public_key)
    prefix, _, digest = text.partition(":")
    assert (prefix, len(digest)) == ("SHA256", 43)
    assert base64.b64decode(digest + "=") == hashlib.sha256(PAIR.public_key).digest()


def test_a_signature_is_good_for_its_key_context_and_parts_alone():
    signature = sign(PAIR.private_key, "hello", b"ab", b"c")
    assert verify(PAIR.public_key, signature, "hello", b"ab", b"c")
    assert not verify(mint_key_pair().public_key, signature, "hello", b"ab", b"c")
    assert not verify(PAIR.public_key, signature, "welcome", b"ab", b"c")
    assert not verify(PAIR.public_key, signature, "hello", b"a", b"bc")
    assert not verify(PAIR.public_key, signature, "hello", b"abc")
    assert not verify(PAIR.public_key, signature, "hello", b"ab", b"c", b"")
    assert not verify(PAIR.public_key, signature, "hello", b"c", b"ab")


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_public_key_of_a_wrong_length_verifies_nothing(length):
    assert not verify(bytes(length), sign(PAIR.private_key, "x"), "x")


@pytest.mark.parametrize("signature", [b"", bytes(63), bytes(64), bytes(65)])
def test_what_is_no_signature_verifies_nothing(signature):
    assert not verify(PAIR.public_key, signature, "x")

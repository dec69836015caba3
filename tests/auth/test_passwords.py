"""Passwords: what may be chosen, and who gets in."""

from __future__ import annotations

import pytest

from lastgood.auth import passwords
from lastgood.auth.passwords import hash_password, needs_rehash, verify_password
from lastgood.errors import AccessError

CHEAP = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$xtTQCpZMQaFYl8yQQ1iJQ4p2Yv5jT5Bh0Uyt8dLkz0k"


@pytest.fixture(scope="module")
def stored():
    return hash_password("correct horse battery")


def test_the_right_password_gets_in_and_a_wrong_one_does_not(stored):
    assert verify_password(stored, "correct horse battery")
    assert not verify_password(stored, "correct horse batterx")


def test_a_hash_tells_its_parameters_and_not_the_password(stored):
    assert stored.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert "horse" not in stored


def test_the_same_password_is_stored_differently_each_time(stored):
    assert hash_password("correct horse battery") != stored


def test_an_unknown_user_never_gets_in_and_costs_the_same_work():
    assert not verify_password(None, "correct horse battery")
    assert not needs_rehash(passwords._NOBODY)


def test_accents_composed_in_two_ways_are_one_password():
    composed = hash_password("\u00e9t\u00e9 " * 4)
    assert verify_password(composed, "e\u0301te\u0301 " * 4)


@pytest.mark.parametrize("password", ["", "elevenchars", "x" * 1025, "lone \ud800 surrogate"])
def test_a_password_against_the_policy_is_refused_before_it_is_hashed(password):
    with pytest.raises(AccessError) as caught:
        hash_password(password)
    assert caught.value.status == 400


@pytest.mark.parametrize("password", ["x" * 12, "x" * 1024, "пароль пароль"])
def test_a_password_within_the_policy_is_taken(password):
    assert verify_password(hash_password(password), password)


@pytest.mark.parametrize("typed", ["", "x" * 1025, "\ud800"])
def test_what_could_never_be_chosen_does_not_get_in(stored, typed):
    assert not verify_password(stored, typed)


def test_a_damaged_hash_lets_nobody_in(stored):
    assert not verify_password("not a hash", "correct horse battery")
    assert not verify_password(stored[:-4], "correct horse battery")


def test_a_hash_of_weaker_parameters_is_to_be_renewed(stored):
    assert needs_rehash(CHEAP)
    assert not needs_rehash(stored)

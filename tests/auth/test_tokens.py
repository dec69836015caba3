"""The text of API tokens: recognised before anybody looks it up, kept only as a keyed digest."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from lastgood.auth import tokens
from lastgood.auth.tokens import ENTROPY_BYTES, digest_of, lookup_of, mint, same_digest

ENTROPY = st.binary(min_size=ENTROPY_BYTES, max_size=ENTROPY_BYTES)
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def test_a_token_begins_with_its_prefix_and_is_49_characters_long() -> None:
    text = mint().reveal()
    assert text.startswith("lg_")
    assert len(text) == 49
    assert text[3:].isalnum()
    assert text.isascii()


def test_what_is_secret_of_a_token_holds_at_least_178_random_bits() -> None:
    assert math.log2(len(ALPHABET)) * tokens.SECRET_CHARACTERS >= 178
    assert math.log2(len(ALPHABET)) * (tokens.SECRET_CHARACTERS + tokens.LOOKUP_CHARACTERS) + 64 <= ENTROPY_BYTES * 8


def test_two_tokens_are_never_the_same() -> None:
    assert len({mint().reveal() for _ in range(1000)}) == 1000


@given(ENTROPY)
def test_every_token_is_recognised_by_its_checksum(entropy: bytes) -> None:
    text = mint(entropy).reveal()
    assert lookup_of(text) == text[3:11]


@given(ENTROPY, st.integers(3, 48), st.sampled_from(ALPHABET))
def test_one_mistyped_letter_is_recognised_before_any_look_up(entropy: bytes, place: int, letter: str) -> None:
    text = mint(entropy).reveal()
    typed = text[:place] + letter + text[place + 1 :]
    assert lookup_of(typed) == (text[3:11] if typed == text else None)


@given(ENTROPY, st.integers(3, 47))
def test_two_letters_that_changed_places_are_recognised(entropy: bytes, place: int) -> None:
    text = mint(entropy).reveal()
    typed = text[:place] + text[place + 1] + text[place] + text[place + 2 :]
    assert lookup_of(typed) == (text[3:11] if typed == text else None)


@given(st.text(max_size=80))
def test_other_text_is_no_token(text: str) -> None:
    assert lookup_of(text) is None


def test_a_token_with_a_line_break_or_foreign_digits_is_no_token() -> None:
    text = mint(b"7" * ENTROPY_BYTES).reveal()
    assert lookup_of(text + "\n") is None
    assert lookup_of(text[:-1] + "\u0663") is None


def test_the_digest_needs_the_key_and_all_of_the_text() -> None:
    text = mint(b"7" * ENTROPY_BYTES).reveal()
    kept = digest_of(b"k" * 32, text)
    assert same_digest(kept, digest_of(b"k" * 32, text))
    assert not same_digest(kept, digest_of(b"l" * 32, text))
    assert not same_digest(kept, digest_of(b"k" * 32, text[:-1]))
    assert text[11:43] not in kept


def test_a_token_does_not_show_itself_in_a_log() -> None:
    token = mint()
    assert token.reveal() not in f"{token} {token!r}"

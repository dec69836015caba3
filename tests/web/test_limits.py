from __future__ import annotations

from datetime import timedelta
from ipaddress import ip_address

from lastgood.web.access import SignInLimits
from lastgood.web.limits import REMEMBERED, Attempts, address_key
from tests.builders import NOW

WINDOW = timedelta(minutes=5)


def test_attempts_pass_until_there_were_too_many_in_the_window() -> None:
    attempts = Attempts(2, WINDOW)
    assert attempts.wait("ann", NOW) is None
    assert attempts.wait("ann", NOW + timedelta(minutes=1)) is None
    assert attempts.wait("ann", NOW + timedelta(minutes=2)) == timedelta(minutes=3)
    assert attempts.wait("bob", NOW + timedelta(minutes=2)) is None
    assert attempts.wait("ann", NOW + WINDOW) is None
    assert attempts.wait("ann", NOW + WINDOW) == timedelta(minutes=1)


def test_a_refused_attempt_does_not_make_the_wait_longer() -> None:
    attempts = Attempts(1, WINDOW)
    attempts.wait("ann", NOW)
    for second in range(200):
        attempts.wait("ann", NOW + timedelta(seconds=second))
    assert attempts.wait("ann", NOW + WINDOW) is None


def test_who_proved_themselves_begins_anew() -> None:
    attempts = Attempts(1, WINDOW)
    attempts.wait("ann", NOW)
    attempts.forgive("ann")
    attempts.forgive("nobody")
    assert attempts.wait("ann", NOW) is None


def test_no_more_than_so_many_keys_are_remembered() -> None:
    attempts = Attempts(1, WINDOW)
    for number in range(REMEMBERED + 5):
        attempts.wait(str(number), NOW)
    assert attempts.wait("0", NOW) is None
    assert attempts.wait(str(REMEMBERED + 4), NOW) == WINDOW


def test_of_an_ipv6_address_the_network_counts() -> None:
    assert address_key(ip_address("2001:db8:1:2:3::4")) == address_key(ip_address("2001:db8:1:2::9"))
    assert address_key(ip_address("2001:db8:1:3::1")) != address_key(ip_address("2001:db8:1:2::1"))
    assert address_key(ip_address("192.0.2.7")) == "192.0.2.7"
    assert address_key(None) == "None"


def test_one_address_alone_locked_the_owner_of_a_name_out() -> None:
    limits = SignInLimits()
    for second in range(0, 3600, 5):
        now = NOW + timedelta(seconds=second)
        if limits.by_address.wait("stranger", now) is None:
            limits.by_name.wait("ann", now)
        if second % 600 == 595:
            assert limits.by_name.wait("ann", now) is None, f"after {second} s"


def test_a_clock_that_is_set_back_locks_nobody_out() -> None:
    attempts = Attempts(1, WINDOW)
    attempts.wait("ann", NOW + timedelta(days=1))
    assert attempts.wait("ann", NOW) is None

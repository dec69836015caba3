"""Whose request it is, seen through proxies that are trusted, not trusted, or lied to."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lastgood.auth.networks import client_address, external_scheme, parse_address, within

PROXIES = tuple(map(ip_network, ("192.0.2.0/24", "2001:db8:ffff::/48")))


@pytest.mark.parametrize(
    ("peer", "lines", "expected"),
    [
        # The header of anybody but a trusted proxy says nothing.
        ("203.0.113.9", [], "203.0.113.9"),
        ("203.0.113.9", ["10.0.0.1"], "203.0.113.9"),
        # One trusted hop: the right-most entry, never what the client put before it.
        ("192.0.2.1", ["203.0.113.9"], "203.0.113.9"),
        ("192.0.2.1", ["10.0.0.1, 203.0.113.9"], "203.0.113.9"),
        ("192.0.2.1", ["10.0.0.1", "203.0.113.9"], "203.0.113.9"),
        ("192.0.2.1", ["10.0.0.1,10.0.0.2", "10.0.0.3,203.0.113.9"], "203.0.113.9"),
        # Chains of trusted proxies are walked; the first stranger ends the walk.
        ("192.0.2.1", ["203.0.113.9, 192.0.2.7"], "203.0.113.9"),
        ("192.0.2.1", ["10.0.0.1, 203.0.113.9, 192.0.2.7, 192.0.2.8"], "203.0.113.9"),
        ("2001:db8:ffff::1", ["203.0.113.9, 192.0.2.7"], "203.0.113.9"),
        # All trusted: the leftmost.
        ("192.0.2.1", [], "192.0.2.1"),
        ("192.0.2.1", ["192.0.2.9, 192.0.2.8"], "192.0.2.9"),
        ("192.0.2.1", [""], "192.0.2.1"),
        # An entry that is no address ends the walk in no network, but only if it is reached.
        ("192.0.2.1", ["10.0.0.1, unknown"], None),
        ("192.0.2.1", ["10.0.0.1, "], None),
        ("192.0.2.1", ["10.0.0.1", ""], None),
        ("192.0.2.1", ["10.0.0.1, _hidden, 192.0.2.8"], None),
        ("192.0.2.1", ["unknown, 203.0.113.9"], "203.0.113.9"),
        # Spellings.
        ("192.0.2.1", ["203.0.113.9:4711"], "203.0.113.9"),
        ("192.0.2.1", ["[2001:db8::9]:4711"], "2001:db8::9"),
        ("192.0.2.1", ["[2001:db8::9]"], "2001:db8::9"),
        ("192.0.2.1", ["2001:db8::9"], "2001:db8::9"),
        ("192.0.2.1", ["fe80::9%eth0"], "fe80::9"),
        ("192.0.2.1", ["\t 203.0.113.9 \t"], "203.0.113.9"),
        ("192.0.2.1", ["::ffff:203.0.113.9"], "203.0.113.9"),
        ("::ffff:192.0.2.1", ["203.0.113.9"], "203.0.113.9"),
        ("::FFFF:C000:201", ["203.0.113.9"], "203.0.113.9"),
        ("fe80::1%eth0", [], "fe80::1"),
        # No address at all.
        (None, [], None),
        (None, ["10.0.0.1"], None),
        ("", ["10.0.0.1"], None),
        ("unix:", ["10.0.0.1"], None),
    ],
)
def test_the_client_is_the_right_most_address_that_is_no_trusted_proxy(peer, lines, expected):
    found = client_address(peer, lines, PROXIES)
    assert found == (None if expected is None else ip_address(expected))


@pytest.mark.parametrize(
    "text", ["10.0.0.256", "10.0.0", "010.0.0.1", "10.0.0.1:", "10.0.0.1/8", "[10.0.0.1", "::g", "a:1"]
)
def test_what_is_no_address_is_none(text):
    assert parse_address(text) is None


def test_an_address_is_matched_in_networks_of_its_own_family_only():
    everything4, everything6 = ip_network("0.0.0.0/0"), ip_network("::/0")
    assert within(parse_address("::ffff:1.2.3.4"), [everything4])
    assert not within(parse_address("::ffff:1.2.3.4"), [everything6])
    assert not within(parse_address("::1"), [everything4])
    assert not within(None, [everything4, everything6])


@settings(deadline=None)
@given(st.lists(st.text(max_size=40), max_size=6), st.ip_addresses())
def test_nothing_that_a_stranger_sends_changes_his_address(lines, stranger):
    peer = parse_address(str(stranger))
    if not within(peer, PROXIES):
        assert client_address(str(stranger), lines, PROXIES) == peer


@settings(deadline=None)
@given(st.lists(st.text(max_size=40), max_size=6), st.ip_addresses())
def test_nothing_written_left_of_a_stranger_changes_who_he_is(lines, stranger):
    client = parse_address(str(stranger))
    if not within(client, PROXIES):
        assert client_address("192.0.2.1", [*lines, str(stranger)], PROXIES) == client


@pytest.mark.parametrize(
    ("peer", "lines", "expected"),
    [
        ("192.0.2.1", ["https"], "https"),
        ("192.0.2.1", ["HTTPS "], "https"),
        ("192.0.2.1", ["https, http"], "http"),
        ("192.0.2.1", ["http", "https"], "https"),
        ("192.0.2.1", ["ftp"], "http"),
        ("192.0.2.1", [], "http"),
        ("203.0.113.9", ["https"], "http"),
        (None, ["https"], "http"),
    ],
)
def test_the_scheme_is_believed_from_a_trusted_peer_only(peer, lines, expected):
    assert external_scheme(peer, lines, PROXIES, "http") == expected

"""A channel's address leads nowhere that only the hub can reach, whatever the address wraps."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from lastgood.notices.addresses import refusal


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("127.0.0.1", "this machine"),
        ("127.8.9.1", "this machine"),
        ("::1", "this machine"),
        ("::ffff:127.0.0.1", "this machine"),
        ("64:ff9b::7f00:1", "this machine"),
        ("2002:7f00:1::", "this machine"),
        ("::7f00:1", "this machine"),
        ("169.254.7.7", "link-local"),
        ("fe80::1", "link-local"),
        ("169.254.169.254", "metadata"),
        ("::ffff:169.254.169.254", "metadata"),
        ("64:ff9b::a9fe:a9fe", "metadata"),
        ("fd00:ec2::254", "metadata"),
        ("100.100.100.200", "metadata"),
        ("168.63.129.16", "metadata"),
        ("0.0.0.0", "no address"),
        ("::", "no address"),
        ("224.0.0.1", "no address"),
        ("ff02::1", "no address"),
        ("255.255.255.255", "no address"),
        ("240.0.0.1", "no address"),
    ],
)
def test_the_hubs_own_surroundings_are_refused(address: str, why: str) -> None:
    told = refusal(ip_address(address), (), private=True)
    assert told is not None
    assert why in told


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700::1111", "64:ff9b::101:101"])
def test_the_world_is_reached_whatever_the_settings(address: str) -> None:
    assert refusal(ip_address(address), (), private=True) is None
    assert refusal(ip_address(address), (), private=False) is None


@pytest.mark.parametrize(
    "address", ["10.1.2.3", "192.168.1.1", "172.16.0.1", "fd12::1", "100.64.0.1", "::ffff:10.0.0.1"]
)
def test_private_networks_are_a_choice(address: str) -> None:
    assert refusal(ip_address(address), (), private=True) is None
    assert "private" in (refusal(ip_address(address), (), private=False) or "")


def test_an_allowed_network_is_allowed_whatever_it_is() -> None:
    allowed = (ip_network("127.0.0.1"), ip_network("169.254.0.0/16"))
    for address in ("127.0.0.1", "::ffff:127.0.0.1", "169.254.169.254"):
        assert refusal(ip_address(address), allowed, private=False) is None
    assert refusal(ip_address("127.0.0.2"), allowed, private=True) is not None

"""The gate before /metrics: sentences of its users, then every combination there is."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_network
from itertools import product

import pytest

from lastgood.auth.gate import METRICS_READ, Gate, TokenView, bearer
from lastgood.secret import Secret

TOKEN = Secret("static-token")
INSIDE = tuple(map(ip_network, ("10.0.0.0/8", "fd00::/8")))
PROXY = tuple(map(ip_network, ("192.0.2.1/32", "2001:db8::1/128")))
API_TOKENS = {
    "scraper": TokenView(id="t1", live=True, permissions=frozenset({METRICS_READ})),
    "expired": TokenView(id="t2", live=False, permissions=frozenset({METRICS_READ})),
    "reader": TokenView(id="t3", live=True, permissions=frozenset({"hosts.read"})),
}


def _status(gate, token=None, peer="203.0.113.9", forwarded=()):
    return gate.admit([f"Bearer {token}"] if token else [], peer, forwarded).status


def test_the_page_does_not_exist_while_nothing_is_configured():
    gate = Gate()
    assert not gate.mounted(tokens_exist=False)
    assert _status(gate) == _status(gate, "static-token") == 404


def test_a_token_alone_asks_for_the_token():
    gate = Gate(token=TOKEN)
    assert [_status(gate), _status(gate, "wrong"), _status(gate, "static-token")] == [401, 401, 200]


def test_networks_alone_ask_for_the_address():
    gate = Gate(networks=INSIDE)
    assert [_status(gate), _status(gate, peer="10.1.2.3"), _status(gate, peer="fd00::1")] == [401, 200, 200]


def test_token_and_networks_must_both_pass():
    gate = Gate(token=TOKEN, networks=INSIDE)
    assert _status(gate, "static-token") == 401
    assert _status(gate, peer="10.1.2.3") == 401
    assert _status(gate, "static-token", peer="10.1.2.3") == 200


def test_a_forwarded_address_counts_only_behind_a_trusted_proxy():
    assert _status(Gate(networks=INSIDE), peer="192.0.2.1", forwarded=["10.0.0.1"]) == 401
    assert _status(Gate(networks=INSIDE, trusted_proxies=PROXY), peer="192.0.2.1", forwarded=["10.0.0.1"]) == 200


def test_auth_off_opens_but_not_past_the_networks():
    assert _status(Gate(auth=False)) == 200
    assert _status(Gate(auth=False, networks=INSIDE)) == 401
    assert _status(Gate(auth=False, networks=INSIDE), peer="10.0.0.1") == 200


def test_an_exporter_is_open_until_a_token_or_networks_are_set():
    assert _status(Gate(auth=False)) == 200
    assert _status(Gate(auth=False, token=TOKEN)) == 401
    assert _status(Gate(auth=False, token=TOKEN), "static-token") == 200


def test_a_peer_without_address_lies_in_no_network():
    assert _status(Gate(networks=INSIDE), peer=None) == 401
    assert _status(Gate(token=TOKEN), "static-token", peer=None) == 200


def test_an_api_token_mounts_the_page_and_an_expired_one_is_401_instead_of_404():
    gate = Gate()
    for presented, status in (("scraper", 200), ("expired", 401), ("reader", 403), ("other", 401)):
        admission = gate.admit([f"Bearer {presented}"], None, tokens_exist=True, find_token=API_TOKENS.get)
        assert (admission.status, admission.www_authenticate) == (status, status == 401)
    assert gate.admit([], None, tokens_exist=True, find_token=API_TOKENS.get).status == 401


def test_an_api_token_serves_beside_the_static_one():
    gate = Gate(token=TOKEN)
    for presented in ("static-token", "scraper"):
        assert gate.admit([f"Bearer {presented}"], None, tokens_exist=True, find_token=API_TOKENS.get).granted


@pytest.mark.parametrize(
    ("lines", "token"),
    [
        (["Bearer abc"], "abc"),
        (["bearer abc"], "abc"),
        (["BEARER   abc "], "abc"),
        (["Bearer abc", "Bearer abc"], None),
        (["Bearer abc", ""], None),
        ([], None),
        ([""], None),
        (["Bearer"], None),
        (["Bearer "], None),
        (["abc"], None),
        (["Basic abc"], None),
        (["Bearerabc"], None),
        (["Bearer abc, Bearer abc"], "abc, Bearer abc"),
    ],
)
def test_the_token_is_taken_from_exactly_one_bearer_header(lines, token):
    assert bearer(lines) == token


@pytest.mark.parametrize(
    "presented", ["static-toke", "static-token2", "Static-token", "\xff", "\udcff", "x" * 100_000]
)
def test_what_only_resembles_the_token_is_refused(presented):
    assert Gate(token=TOKEN).admit([f"Bearer {presented}"], None).status == 401


def test_no_reason_repeats_what_was_presented():
    gate = Gate(token=TOKEN, networks=INSIDE)
    for peer in ("10.0.0.1", "203.0.113.9"):
        admission = gate.admit(["Bearer swordfish"], peer)
        assert "swordfish" not in admission.reason and "static-token" not in admission.reason
    assert "static-token" not in repr(gate)


# --- every combination -------------------------------------------------------------------------------------
# Written from the rule's sentences and without a look at the code: what is configured says whether the page
# exists on its own, whether the address is asked, and whether a token is asked.
RULES = {
    # token, networks, auth: (exists without API tokens, address asked, token asked)
    (False, False, True): (False, False, True),
    (False, False, False): (True, False, False),
    (False, True, True): (True, True, False),
    (False, True, False): (True, True, False),
    (True, False, True): (True, False, True),
    (True, False, False): (True, False, True),
    (True, True, True): (True, True, True),
    (True, True, False): (True, True, True),
}
# Addresses of one client and one proxy in three spellings.
FAMILIES = {
    "IPv4": ("10.1.2.3", "203.0.113.9", "192.0.2.1"),
    "IPv6": ("fd00::9", "2001:db8:2::9", "2001:db8::1"),
    "mapped": ("::ffff:10.1.2.3", "::ffff:203.0.113.9", "::ffff:192.0.2.1"),
}
PRESENTED = {
    "nothing": [],
    "wrong": ["Bearer wrong"],
    "right": ["Bearer static-token"],
    "right, other scheme": ["Basic static-token"],
    "right, twice": ["Bearer static-token", "Bearer static-token"],
    "API scraper": ["Bearer scraper"],
    "API expired": ["bearer expired"],
    "API reader": ["Bearer reader"],
}


@dataclass(frozen=True)
class Scrape:
    """One request as the world sees it: where the client really is, and the way it took."""

    family: str
    client_inside: bool
    through_proxy: bool
    forged: bool
    presented: str
    api_tokens: bool

    def sent(self):
        inside, outside, proxy = FAMILIES[self.family]
        client = inside if self.client_inside else outside
        header = [inside] if self.forged else []
        if self.through_proxy:
            return proxy, [", ".join([*header, client])]
        return client, header


def _expected(scrape, token, networks, auth, trusted):
    exists, address_asked, token_asked = RULES[token, networks, auth]
    if not exists and not scrape.api_tokens:
        return 404
    # An untrusted proxy is itself the client, and stands outside; forging never helps.
    seen_inside = scrape.client_inside and (trusted or not scrape.through_proxy)
    if address_asked and not seen_inside:
        return 401
    if not token_asked:
        return 200
    if scrape.presented == "right":
        return 200 if token else 401
    if scrape.api_tokens:
        return {"API scraper": 200, "API reader": 403}.get(scrape.presented, 401)
    return 401


SCRAPES = [
    Scrape(*combination)
    for combination in product(FAMILIES, (False, True), (False, True), (False, True), PRESENTED, (False, True))
]


@pytest.mark.parametrize("trusted", [False, True], ids=["proxy unknown", "proxy trusted"])
@pytest.mark.parametrize(("token", "networks", "auth"), RULES)
def test_the_truth_table(token, networks, auth, trusted):
    gate = Gate(
        token=TOKEN if token else None,
        networks=INSIDE if networks else (),
        auth=auth,
        trusted_proxies=PROXY if trusted else (),
    )
    wrong = []
    for scrape in SCRAPES:
        peer, forwarded = scrape.sent()
        admission = gate.admit(
            PRESENTED[scrape.presented],
            peer,
            forwarded,
            tokens_exist=scrape.api_tokens,
            find_token=API_TOKENS.get if scrape.api_tokens else lambda _: None,
        )
        expected = _expected(scrape, token, networks, auth, trusted)
        if admission.status != expected or admission.www_authenticate is not (expected == 401):
            wrong.append((scrape, admission, expected))
    assert wrong == []
    assert len(SCRAPES) == 3 * 2 * 2 * 2 * 8 * 2

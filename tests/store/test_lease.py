"""One process alone owns all single-owner work."""

from lastgood.store.lease import AlwaysHeld, Lease


def test_the_only_process_holds_every_lease() -> None:
    lease: Lease = AlwaysHeld()
    assert lease.held("rules")
    assert lease.held("ledger")

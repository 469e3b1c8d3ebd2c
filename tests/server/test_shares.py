"""Places of which one client address gets a share."""

import pytest

from loki_web.server.shares import Shares

A, B, UNKNOWN = "192.0.2.1", "2001:db8::1", ""


@pytest.mark.parametrize(
    ("places", "share", "addresses", "taken"),
    [
        (4, 2, [A, A, A, B, B, B], [True, True, False, True, True, False]),
        (4, 2, [UNKNOWN] * 5, [True, True, True, True, False]),
        (1, 1, [A, B], [True, False]),
        (2, 1, [A, A, UNKNOWN, B], [True, False, True, False]),
    ],
)
def test_an_address_takes_its_share_at_most(
    places: int, share: int, addresses: list[str], taken: list[bool]
) -> None:
    shares = Shares(places, share)
    assert [shares.take(address) for address in addresses] == taken
    for address, has_one in zip(addresses, taken, strict=True):
        if has_one:
            shares.give_back(address)
    assert [shares.take(address) for address in addresses] == taken

from __future__ import annotations

from ipaddress import ip_address

import pytest

from mox.queue.dialorder import dial_order

A, B, C = "192.0.2.1", "192.0.2.2", "192.0.2.3"
X, Y = "2001:db8::1", "2001:db8::2"


@pytest.mark.parametrize(
    ("addresses", "dialed", "order"),
    [
        ([X, A], [], [X, A]),
        ([X, A], [X], [A, X]),
        ([X, A], [X, A], [X, A]),
        # An address that was used once is known to a greylisting server.
        ([A, B, C], [B], [B, A, C]),
        ([A, B, C], [B, B], [A, B, C]),
        ([X, Y, A, B], [Y, B], [Y, X, B, A]),
        ([X, Y, A, B], [Y, B, Y], [B, A, X, Y]),
        ([A, B], [C], [A, B]),
        ([A], [X], [A]),
        ([], [A], []),
    ],
)
def test_order(addresses: list[str], dialed: list[str], order: list[str]) -> None:
    found = dial_order([ip_address(ip) for ip in addresses], [ip_address(ip) for ip in dialed])
    assert [str(ip) for ip in found] == order

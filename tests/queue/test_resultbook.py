"""Results of TLS that are added up before they are written."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mox.queue.resultbook import ResultBook
from mox.store import tls_results
from mox.store.tls_results import TLSResultRecord
from mox.tlspolicy.collect import PolicyResults
from mox.tlspolicy.report import TLSResult
from tests.queue.site import Clock, Site

DAY = 86400.0


class Book:
    def __init__(self, site: Site, delay_s: float = 3600.0) -> None:
        self.site = site
        self.clock = Clock()
        self.book = ResultBook(site.ctx, self.clock, delay_s)

    def add(self, domain: str = "a.example", *, send: bool = True, host: str = "") -> None:
        result = TLSResult("no-policy-found", policy_domain=host or domain, success=1)
        found = PolicyResults(host or domain, bool(host), (result,))
        self.book.add(domain, [found], send=send)

    def written(self) -> list[TLSResultRecord]:
        self.site.ctx.store.finish_background()
        return tls_results.of_day(self.site.ctx.store, "")


@pytest.fixture
def make_book(make_site: Callable[..., Site]) -> Callable[..., Book]:
    return lambda **options: Book(make_site(), **options)


def test_results_are_written_together(make_book: Callable[..., Book]) -> None:
    book = make_book()
    for _ in range(5):
        book.add()
    book.add("b.example", host="mx.example")
    book.add("a.example", host="mx.example")
    assert book.written() == []
    book.book.flush()
    found = {
        (record.policy_domain, record.recipient_domain, record.is_host): record.results[0].success
        for record in book.written()
    }
    assert found == {
        ("a.example", "a.example", False): 5,
        ("mx.example", "b.example", True): 1,
        ("mx.example", "a.example", True): 1,
    }


def test_results_are_added_to_those_before(make_book: Callable[..., Book]) -> None:
    book = make_book()
    for _ in range(2):
        book.add()
        book.book.flush()
    [record] = book.written()
    assert record.results[0].success == 2


def test_one_that_is_to_be_sent_is_enough(make_book: Callable[..., Book]) -> None:
    book = make_book()
    book.add(send=False)
    book.add(send=True)
    book.add(send=False)
    book.add("b.example", send=False)
    book.book.flush()
    assert {record.policy_domain: record.send for record in book.written()} == {
        "a.example": True,
        "b.example": False,
    }


def test_days_are_apart(make_book: Callable[..., Book]) -> None:
    book = make_book()
    book.add()
    book.clock.now += DAY
    book.add()
    book.book.flush()
    assert [record.results[0].success for record in book.written()] == [1, 1]


def test_time_writes_them(make_book: Callable[..., Book]) -> None:
    book = make_book(delay_s=0.01)
    book.add()
    book.site.until(book.written)
    book.add()
    book.site.until(lambda: book.written()[0].results[0].success == 2)


def test_nothing_is_no_write(make_book: Callable[..., Book]) -> None:
    book = make_book()
    book.book.flush()
    assert book.written() == []

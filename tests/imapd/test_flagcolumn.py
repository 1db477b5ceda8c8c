"""Searches for flags look at a column that is kept: it must never be an old one."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mox.store.model import Flag
from tests.imapd.harness import Site, message

KEYS = st.recursive(
    st.sampled_from(["seen", "unseen", "flagged", "deleted", "draft", "answered", "all", "1:3"]),
    lambda inner: st.one_of(
        inner.map(lambda key: f"not {key}"),
        st.tuples(inner, inner).map(lambda pair: f"or {pair[0]} {pair[1]}"),
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]} {pair[1]})"),
    ),
    max_leaves=5,
)


def test_changes_by_others_are_seen_at_once(site: Site) -> None:
    site.add(message(1), message(2), message(3))
    client, other = site.login("inbox"), site.login("inbox")
    assert client.ok("search seen") == ["* SEARCH"]
    other.ok("store 2 +flags.silent (\\Seen)")
    assert client.ok("uid search seen")[0] == "* SEARCH 2"
    other.ok("store 1 +flags.silent (\\Deleted)")
    other.ok("expunge")
    # Still numbered by this client.
    assert client.ok("search seen")[0] == "* SEARCH 2"
    client.ok("noop")
    assert client.ok("search seen") == ["* SEARCH 1"]
    site.add(message(4), flags=Flag.SEEN)
    assert client.ok("search return (count) seen")[0].endswith("COUNT 1")
    assert client.ok("search return (min max) seen")[0].endswith("MIN 1 MAX 3")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(st.lists(KEYS, min_size=1, max_size=6))
def test_any_program_finds_the_same_in_both_ways(site: Site, keys: list[str]) -> None:
    account = site.account()
    box = account.mailbox("INBOX")
    assert box is not None
    if not box.messages:
        for bits in range(32):
            site.add(message(bits), flags=Flag(bits))
    client = site.login("inbox")
    for key in keys:
        # What the search for text lets through is all, and it takes the other way.
        assert client.ok(f"search {key}") == client.ok(f'search {key} header subject ""')
        assert client.ok(f"uid search {key}") == client.ok(f'uid search {key} header subject ""')
    client.close()

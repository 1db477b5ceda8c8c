from __future__ import annotations

from pathlib import Path

import gevent

from mox.junk.subjectpass import KEY_ALPHABET, KEY_OCTETS
from mox.store import Store, open_store
from mox.store.passkeys import passkey


def test_key_is_made_once(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    key = passkey(store.account("mjl"), "mjl@mox.example")
    assert len(key) == KEY_OCTETS
    assert set(key.decode()) <= set(KEY_ALPHABET)
    store.close()
    store = open_store(tmp_path)
    assert passkey(store.account("mjl"), "mjl@mox.example") == key
    store.close()


def test_each_address_of_each_account_has_its_own(store: Store) -> None:
    one, two = store.account("one"), store.account("two")
    addresses = ["a@mox.example", "b@mox.example", f"{'l' * 600}@mox.example", f"{'m' * 600}@x"]
    keys = {passkey(account, address) for account in (one, two) for address in addresses}
    assert len(keys) == 8


def test_first_uses_at_the_same_time_agree(store: Store) -> None:
    account = store.account("mjl")
    jobs = [gevent.spawn(passkey, account, "mjl@mox.example") for _ in range(10)]
    gevent.joinall(jobs, raise_error=True)
    assert len({job.value for job in jobs}) == 1

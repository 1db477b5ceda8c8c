"""Facts of a delivery, read back from the fields that it left in the message."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.delivery.decision import Decision
from mox.delivery.facts import origin_of
from mox.delivery.trace import Trace
from mox.store import open_store
from mox.store.model import Flag, FlagOp, Target
from mox.store.origin import Kind, Origin
from mox.store.originreading import read_origin
from mox.store.reindex import reindex
from tests.delivery.cases import facts, path
from tests.delivery.results import authentication
from tests.store.origins import check_history, mailbox_id

RECIPIENT = path("mjl@example.org")
MESSAGE = b"From: A <a@sender.example>\nTo: mjl@example.org\nMessage-Id: <1@x>\n\nbody\n"


def delivered(message: bytes = MESSAGE, **settings: object) -> tuple[bytes, Origin]:
    """A message as it is stored, and the facts that the index gets."""
    known = facts(message, **settings)  # type: ignore[arg-type]
    decision = Decision(accept=True, mailbox="Inbox", reason="r", details=("some (detail); x",))
    prefix = Trace(known, known.reverse_path).prefix(decision, RECIPIENT, RECIPIENT)
    return prefix.replace(b"\r\n", b"\n") + message, origin_of(known, RECIPIENT)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"found": authentication(spf="fail", iprev="fail")},
        {"found": authentication(spf_domain="mail.sender.example", dmarc="pass")},
        {"found": authentication(dkim=("sender.example", "esp.example"), spf="softfail")},
        {"found": authentication(spf_domain="mta.sender.example", helo=True), "mail_from": ""},
        {"client": "2001:db8::1"},
        {"mail_from": '"odd local"@b.example', "helo": "xn--bcher-kva.example"},
        {"message": b"From: a@sender.example, b@sender.example\n\n"},
        {"message": b"Subject: no author\n\n"},
    ],
)
def test_what_was_written_is_read_back(settings: dict[str, object]) -> None:
    stored, expected = delivered(**settings)  # type: ignore[arg-type]
    assert read_origin(stored, wire=False) == expected
    assert read_origin(stored.replace(b"\n", b"\r\n"), wire=True) == expected


@pytest.mark.parametrize("field", [b"Subject: x\n", b"Received: from elsewhere\n"])
def test_only_a_block_at_the_top_is_believed(field: bytes) -> None:
    stored, _ = delivered()
    assert read_origin(field + stored, wire=False) is None
    assert read_origin(stored.partition(b"\n")[2], wire=False) is None


def test_fields_of_the_sender_below_are_not_looked_at() -> None:
    forged, _ = delivered(found=authentication(dkim=("bank.example",)))
    stored, expected = delivered(forged)
    assert read_origin(stored, wire=False) == expected
    origin = read_origin(stored, wire=False)
    assert origin is not None
    assert origin.dkim_domains == ()


@given(st.binary(max_size=300), st.booleans())
def test_any_octets_can_be_read(octets: bytes, wire: bool) -> None:
    read_origin(octets, wire=wire)
    block = b"X-Mox-Reason: r;\nDelivered-To: %b\nReturn-Path: <%b>\n" % (octets[:9], octets[:5])
    block += b"Authentication-Results: %b\nReceived-SPF: x\nReceived: %b\n" % (octets, octets)
    read_origin(block, wire=wire)


def test_history_survives_the_loss_of_the_index(tmp_path: Path) -> None:
    stored, origin = delivered()
    store = open_store(tmp_path)
    for mailbox in ("INBOX", "Junk"):
        with store.spool() as spool:
            spool.write(stored.replace(b"\n", b"\r\n"))
            target = Target(
                store.account("mjl"),
                mailbox,
                b"",
                (1_700_000_000, 0),
                keywords=("$Junk",),
                origin=origin,
            )
            store.deliver([target], spool)
    store.close()
    # The keeper shows keywords in file names: here they are lost with the index.
    shutil.rmtree(tmp_path / "index")
    reindex(tmp_path, "mjl")
    store = open_store(tmp_path)
    account = store.account("mjl")
    inbox, junk = mailbox_id(account, "INBOX"), mailbox_id(account, "Junk")
    for box in (inbox, junk):
        found = account.history(None).origin(box, 1)
        assert found is not None
        assert msgspec.structs.replace(found, mailbox_orig=0) == origin
        assert found.mailbox_orig == inbox
    assert check_history(store, account) == 0
    account.store_flags(junk, [1], FlagOp.ADD, Flag.NONE, ("$Junk",))
    check_history(store, account)
    [verdict] = account.history(inbox).verdicts(
        Kind.FROM_ADDRESS, b"a@sender.example", 0, 5, validated=True
    )
    assert verdict.is_junk
    store.close()
    assert reindex(tmp_path, "mjl").changed == 0

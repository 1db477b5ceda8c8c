"""Whatever a message contains, it is decided about, and what is written on top is well-formed."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from mox.config.destination import Ruleset
from mox.delivery.trace import Trace
from tests.delivery.cases import (
    FILTER,
    SUBJECTPASS,
    Answers,
    account,
    destination,
    facts,
    judge,
    path,
)
from tests.delivery.results import authentication

RECIPIENT = path("mjl@example.org")
RULESET = Ruleset(
    msg_from_regexp="a", headers_regexp={"^(subject|x)": "b"}, mailbox="X", list_allow_domain="x.y"
)
# RFC 5322 §2.2: a name, a colon, printable characters; folds begin with a tab.
_FIELD = re.compile(rb"[A-Za-z-]+:(?: [^\r\n\0]*)?(?:\r\n\t[^\r\n\0]*)*\r\n")


@given(
    octets=st.binary(max_size=200),
    names=st.lists(st.sampled_from([b"From", b"To", b"Subject", b"List-Id"]), max_size=4),
    probability=st.floats(0, 1),
    spf=st.sampled_from(["pass", "fail", "temperror", "none"]),
    dmarc=st.sampled_from(["pass", "fail", "none", "temperror"]),
)
def test_every_message_is_decided_about(
    octets: bytes, names: list[bytes], probability: float, spf: str, dmarc: str
) -> None:
    head = b"".join(name + b": " + octets.replace(b"\n", b"\n ") + b"\n" for name in names)
    found = authentication(spf=spf, dmarc=dmarc, dkim=("d.example",))
    message = facts(head + octets, found=found)
    config = account(junk_filter=FILTER, subject_pass=SUBJECTPASS, introbox="Introbox")
    decision = judge(
        message, Answers(probability=probability), to=destination(RULESET), config=config
    )
    assert decision.accept == (decision.reply is None)
    prefix = Trace(message, message.reverse_path).prefix(decision, RECIPIENT, RECIPIENT)
    assert b"".join(_FIELD.findall(prefix)) == prefix
    assert prefix.isascii()
    assert max(map(len, prefix.split(b"\r\n"))) <= 998

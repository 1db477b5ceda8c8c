from __future__ import annotations

import pytest

from mox.delivery import replies
from mox.smtp.reply import Reply
from mox.store.errors import ErrorKind, StoreError

GONE = Reply(550, "5.1.1", "no such user(s)")
FULL = Reply(452, "4.2.2", "mailbox is over quota")
INTERNAL = Reply(451, "4.3.0", "error processing")


@pytest.mark.parametrize(
    ("failures", "expected"),
    [
        ([GONE], GONE),
        ([GONE, GONE], GONE),
        (
            [GONE, Reply(550, "5.1.1", "not here")],
            Reply(550, "5.1.1", ("no such user(s)", "not here")),
        ),
        (
            [GONE, FULL],
            Reply(
                554,
                "5.3.0",
                ("550 5.1.1 no such user(s)", "452 4.2.2 mailbox is over quota", "multiple errors"),
            ),
        ),
        (
            [INTERNAL, FULL],
            Reply(
                451,
                "4.3.0",
                (
                    "451 4.3.0 error processing",
                    "452 4.2.2 mailbox is over quota",
                    "multiple errors",
                ),
            ),
        ),
    ],
)
def test_failures_combine(failures: list[Reply], expected: Reply) -> None:
    assert replies.combine_failures(failures) == expected


@pytest.mark.parametrize(
    ("kind", "code", "enhanced"),
    [
        (ErrorKind.OVER_QUOTA, 452, "4.2.2"),
        (ErrorKind.DISK_FULL, 452, "4.3.1"),
        (ErrorKind.INTERNAL, 451, "4.3.0"),
        (ErrorKind.BAD_NAME, 451, "4.3.0"),
    ],
)
def test_store_errors_are_temporary(kind: ErrorKind, code: int, enhanced: str) -> None:
    reply = replies.from_store(StoreError(kind, "text"))
    assert (reply.code, reply.enhanced) == (code, enhanced)

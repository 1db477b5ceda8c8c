from __future__ import annotations

import pytest

from mox.delivery.special import Failure, Stage, failure, failure_at


@pytest.mark.parametrize(
    ("localpart", "code"),
    [
        ("temperror", 451),
        ("x-permerror", 550),
        ("rcptto421", 421),
        ("400", 400),
        ("a599", 599),
        ("a600", None),
        ("a399", None),
        ("a42", None),
        ("Temperror", None),
        ("a٤٥٠", None),  # digits, but not ASCII
        ("", None),
    ],
)
def test_suffix_chooses_the_code(localpart: str, code: int | None) -> None:
    found = failure(localpart)
    assert (found and found.code) == code


def test_timeout_waits_an_hour() -> None:
    assert failure("xtimeout") == Failure(451, 3600.0)
    assert Failure(451).enhanced == "4.0.0"
    assert Failure(552).text == "failure with code 552 due to special localpart"


@pytest.mark.parametrize(
    ("localpart", "stage"),
    [
        ("mailfrom450", Stage.MAIL),
        ("rcptto450", Stage.RCPT),
        ("queue450", Stage.QUEUE),
        ("x450", Stage.DATA),
    ],
)
def test_prefix_chooses_the_stage(localpart: str, stage: Stage) -> None:
    for other in Stage:
        assert (failure_at(other, localpart) is not None) == (other is stage)

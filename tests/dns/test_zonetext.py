from __future__ import annotations

import dns.rdata
import pytest

from mox.dns.zonetext import quoted_txt


@pytest.mark.parametrize("text", ["", "x", "x" * 100, "x" * 101, "y z" * 200, 'a "b" c\\d; e'])
def test_record_reads_as_the_text(text: str) -> None:
    data = quoted_txt(text).strip("()").split("\n")
    record = dns.rdata.from_text("IN", "TXT", " ".join(line.strip(" \t()") for line in data))
    assert b"".join(record.strings).decode() == text  # type: ignore[attr-defined]
    assert all(len(string) <= 100 for string in record.strings)  # type: ignore[attr-defined]


def test_long_text_is_put_on_lines_of_its_own() -> None:
    assert quoted_txt("x" * 101) == f'(\n\t\t"{"x" * 100}"\n\t\t"x"\n\t)'

"""The examples in conf/ and the reference in docs/config.md are what the code says.

To write them anew: MOX_UPDATE=1 pytest tests/config/test_describe.py
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mox import sconf
from mox.config.decode import decode
from mox.config.describe import describe_dynamic, describe_static, reference
from mox.config.dynamic import Dynamic
from mox.config.report import Report
from mox.config.static import Static

ROOT = Path(__file__).parents[2]
EXAMPLES = [
    ("conf/mox.conf", describe_static(), Static),
    ("conf/domains.conf", describe_dynamic(), Dynamic),
]


def is_current(path: Path, text: str) -> bool:
    if os.environ.get("MOX_UPDATE"):
        path.write_text(text)
    return path.read_text() == text


@pytest.mark.parametrize(("path", "text", "_cls"), EXAMPLES)
def test_example_is_current(path: str, text: str, _cls: type) -> None:
    assert is_current(ROOT / path, text)


@pytest.mark.parametrize(("path", "text", "cls"), EXAMPLES)
def test_example_has_only_existing_fields(path: str, text: str, cls: type) -> None:
    report = Report(Path(path), sconf.parse(text.encode()))
    decode(cls, report)
    assert report.errors == []


@pytest.mark.parametrize(("_path", "text", "_cls"), EXAMPLES)
def test_example_fits_a_terminal(_path: str, text: str, _cls: type) -> None:
    comments = [line.strip() for line in text.splitlines() if line.strip().startswith("#")]
    assert max(map(len, comments)) <= 80


def test_reference_is_current() -> None:
    path = ROOT / "docs/config.md"
    head, mark, _ = path.read_text().partition("## Fields of mox.conf\n")
    assert mark
    text = (
        f"{head}{mark}\n{reference(Static)}\n\n## Fields of domains.conf\n\n{reference(Dynamic)}\n"
    )
    assert is_current(path, text)

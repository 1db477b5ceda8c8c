"""The scripts of pages have right types: TypeScript checks their JSDoc."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import mox

pytestmark = pytest.mark.e2e

TSC = Path(sys.prefix) / "npm/node_modules/.bin/tsc"
WORDS = [
    "--noEmit",
    "--allowJs",
    "--checkJs",
    "--strict",
    "--target",
    "es2022",
    "--module",
    "esnext",
]


def test_scripts_of_pages_have_the_types_that_they_say() -> None:
    assert TSC.exists(), "run make tools"
    scripts = sorted(Path(mox.__file__).parent.rglob("static/*.js"))
    assert scripts
    words = [str(TSC), *WORDS, "--lib", "es2022,dom,dom.iterable", *map(str, scripts)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout

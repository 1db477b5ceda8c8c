"""Wheel and source archive, built without network: everything is in, and the wheel runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from mox import __version__

ROOT = Path(__file__).parent.parent
# Of a checkout, what is not part of the source.
NOT_SOURCE = shutil.ignore_patterns(
    *(".git", ".venv*", "__pycache__", "*.py[co]", ".*_cache", ".hypothesis", "*.egg-info"),
    *("build", "dist", "data", ".coverage", ".gitignore"),
)
SCRIPT = f"mox-{__version__}.data/scripts/mox"


def run(words: Sequence[object], **settings: object) -> str:
    done = subprocess.run(  # type: ignore[call-overload]
        [str(word) for word in words], capture_output=True, text=True, **settings
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return str(done.stdout)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout: builds leave files behind."""
    copy = tmp_path_factory.mktemp("packaging") / "source"
    shutil.copytree(ROOT, copy, ignore=NOT_SOURCE)
    return copy


@pytest.fixture(scope="module")
def files(source: Path) -> set[str]:
    """All files of the source, before anything was built in it."""
    return {p.relative_to(source).as_posix() for p in source.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def wheel(source: Path, files: set[str]) -> Path:
    out = source.parent / "wheel"
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-index", "--no-deps"]
    run([*build, "--no-build-isolation", "--wheel-dir", out, source])
    (path,) = out.iterdir()
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    target = wheel.parent.parent / "installed"
    run([sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps",
         "--target", target, wheel])  # fmt: skip
    return target


def test_wheel_has_the_packages_and_nothing_else(wheel: Path, files: set[str]) -> None:
    expected = {name for name in files if name.startswith("mox/")}
    assert "mox/py.typed" in expected
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        licences = [name for name in archive.namelist() if name.endswith("LICENSE")]
    assert names == expected | {SCRIPT}
    assert licences


def test_archive_is_a_whole_checkout(source: Path, files: set[str]) -> None:
    out = source.parent / "sdist"
    call = "from setuptools.build_meta import build_sdist; import sys; build_sdist(sys.argv[1])"
    run([sys.executable, "-c", call, out], cwd=source)
    (path,) = out.iterdir()
    with tarfile.open(path) as archive:
        names = {m.name.partition("/")[2] for m in archive.getmembers() if m.isfile()}
        modes = {m.name.partition("/")[2]: m.mode for m in archive.getmembers()}
    assert files - names == set()
    made = {name for name in names - files if not name.startswith("mox.egg-info/")}
    assert made == {"PKG-INFO", "setup.cfg"}
    assert modes["bin/mox"] & 0o111
    assert modes["contrib/install-debian-packages"] & 0o111


@pytest.mark.parametrize("command", [("version",), ("help",), ("config", "describe-static")])
def test_wheel_runs(installed: Path, tmp_path: Path, command: Sequence[str]) -> None:
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    out = run([installed / "bin/mox", *command], env=environment, cwd=tmp_path)
    expected = {
        "version": f"{__version__}\n",
        "help": "mox version\n",
        "config": (ROOT / "conf/mox.conf").read_text(),
    }
    assert expected[command[0]] in out


def test_installed_program_uses_installed_code(installed: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    where = run(
        [sys.executable, "-c", "import mox; print(mox.__file__)"], env=environment, cwd=tmp_path
    )
    assert Path(where.strip()).is_relative_to(installed)

from __future__ import annotations

import pytest

from mox import sconf
from mox.config import unsupported
from mox.config.dynamic import Dynamic
from mox.config.schema import spec_of
from mox.config.static import Static
from tests.config.texts import Files, at

HTTPS = "Listeners.local.MTASTSHTTPS is configured, not supported yet"
WEB = "Listeners.local.WebserverHTTP is configured, not supported yet"


def test_supported_features_are_not_listed(files: Files) -> None:
    files.static.set(at("Listeners/local/MTASTSHTTPS/Enabled"), "false")
    files.static.set(at("Listeners/local/WebserverHTTP/Enabled"), "false")
    assert files.load().unsupported == []


def test_default_written_out_is_not_listed(files: Files) -> None:
    files.dynamic.set(at("Accounts/mjl/FullName"), "")
    files.dynamic.set(at("Accounts/mjl/NoCustomPassword"), "false")
    assert files.load().unsupported == [HTTPS, WEB]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("Accounts/mjl/NoCustomPassword", "true"),
        ("Accounts/mjl/Destinations/mjl@example.org/FullName", "x"),
    ],
)
def test_place_is_told(files: Files, path: str, value: sconf.Plain) -> None:
    files.dynamic.set(at(path), value)
    line = f"{path.replace('/', '.')} is configured, not supported yet"
    assert files.load().unsupported == [HTTPS, WEB, line]


def test_feature_is_listed_once(files: Files) -> None:
    for account in ("mjl", "second"):
        files.dynamic.set(at(f"Accounts/{account}/NoCustomPassword"), "true")
    assert files.load().unsupported[2:] == [
        "Accounts.mjl.NoCustomPassword is configured, not supported yet (and in 1 more places)"
    ]


@pytest.mark.parametrize("path", unsupported._STATIC + unsupported._DYNAMIC)
def test_table_names_existing_fields(path: str) -> None:
    cls: type | None = Static if path in unsupported._STATIC else Dynamic
    for part in path.split("."):
        if part == "*":
            continue
        assert cls is not None
        type_ = spec_of(cls).by_name[part].type
        cls = type_.element.cls if type_.element else type_.cls

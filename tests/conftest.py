"""Property tests: the same examples in every run, so that a change is judged by what it changes.

Every test begins with the umask that users have.

Fuzzing: with MOX_FUZZ in the environment only property tests run, with many more, random examples.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, is_hypothesis_test, settings

# About an hour for all property tests together.
FACTOR = 100
# Where hypothesis keeps the settings of a test: there is no public way to change them afterwards.
_SETTINGS = "_hypothesis_internal_use_settings"

if not os.environ.get("MOX_FUZZ"):
    settings.register_profile("steady", derandomize=True, deadline=None)
    settings.load_profile("steady")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not os.environ.get("MOX_FUZZ"):
        return
    chosen = [item for item in items if is_hypothesis_test(getattr(item, "obj", None))]
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = chosen
    # A test with parameters is several items. A state machine has its settings in the class.
    places = {
        (item.cls, "settings") if item.cls else (item.obj, _SETTINGS)  # type: ignore[attr-defined]
        for item in chosen
    }
    for holder, name in places:
        usual = getattr(holder, name)
        more = settings(
            usual,
            max_examples=usual.max_examples * FACTOR,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        setattr(holder, name, more)


def pytest_runtest_setup() -> None:
    # Commands that a test runs in its own process narrow it, as they would in theirs.
    os.umask(0o022)

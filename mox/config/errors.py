"""What is wrong with a configuration: each problem with its file, line and field."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mox.errors import MoxError


class ConfigError(MoxError):
    """One problem. `line` is 0 where no line applies, `field` "" where no field does.

    `field` is the path of reference names, as in `Listeners.local.SMTP.Port`.
    """

    def __init__(self, path: Path, line: int, field: str, message: str) -> None:
        self.path = path
        self.line = line
        self.field = field
        self.message = message
        place = f"{path}:{line}" if line else f"{path}"
        super().__init__(f"{place}: {field}: {message}" if field else f"{place}: {message}")


class ConfigErrors(MoxError):
    """All problems that one reading of the configuration found, in file order."""

    def __init__(self, errors: Iterable[ConfigError]) -> None:
        self.errors = tuple(errors)
        super().__init__("\n".join(str(error) for error in self.errors))

"""Collects what is wrong with a configuration, so that one run tells all of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mox import sconf
from mox.config.errors import ConfigError

# A file of nonsense should not fill the terminal or memory.
MAX_ERRORS = 1000
MAX_NAME = 256  # of an entry in a message

# Names of fields and entries, and positions of list items, from the top of the file.
FieldPath = tuple[str | int, ...]


def format_path(path: Sequence[str | int]) -> str:
    """Write a field path as users see it: `Routes[0].Transport`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part[:MAX_NAME]}" if text else part[:MAX_NAME]
    return text


@dataclass(slots=True)
class Report:
    """Errors and warnings of one file. Once a field is bad, what follows from it is not told."""

    path: Path
    document: sconf.Document
    errors: list[ConfigError] = field(default_factory=list)
    warnings: list[ConfigError] = field(default_factory=list)
    bad: set[FieldPath] = field(default_factory=set)

    def add_error(self, path: FieldPath, message: str, line: int = 0) -> None:
        """Note an error, at the line of the field unless one is given."""
        if len(self.errors) < MAX_ERRORS:
            self.errors.append(self._make(path, message, line))
        elif len(self.errors) == MAX_ERRORS:
            self.errors.append(ConfigError(self.path, 0, "", "more errors are not shown"))

    def add_warning(self, path: FieldPath, message: str) -> None:
        """Note something that works but should be looked at."""
        if len(self.warnings) < MAX_ERRORS:
            self.warnings.append(self._make(path, message, 0))

    def _make(self, path: FieldPath, message: str, line: int) -> ConfigError:
        line = line or self.document.line_of(path)
        return ConfigError(self.path, line, format_path(path), message)

    def is_bad(self, path: FieldPath) -> bool:
        """Tell whether the field or a block around it could not be read."""
        return any(path[:length] in self.bad for length in range(1, len(path) + 1))

    def scope(self) -> Scope:
        """Return the scope of the whole file."""
        return Scope(self, ())


@dataclass(frozen=True, slots=True)
class Scope:
    """A place in a file, to report problems of what is below it."""

    report: Report
    path: FieldPath

    def at(self, *parts: str | int) -> Scope:
        """Return the scope of a field, entry or item below."""
        return Scope(self.report, self.path + parts)

    def error(self, message: str, *parts: str | int) -> None:
        """Report an error of the place itself or, with `parts`, of something below."""
        path = self.path + parts
        if not (self.report.bad and self.report.is_bad(path)):
            self.report.add_error(path, message)

    def warning(self, message: str, *parts: str | int) -> None:
        """Report something that works but should be looked at."""
        self.report.add_warning(self.path + parts, message)

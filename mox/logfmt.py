"""Log lines in logfmt: one line an event, fields as key=value, levels per package.

    log = logfmt.logger("smtpserver").bind(cid=cid, remote_ip=ip)
    log.info("delivered", account="mjl", size=1234)
    → l=info m="delivered" pkg=smtpserver account=mjl size=1234 remote_ip=127.0.0.1 cid=1a2b

A message is a constant and the data is in fields. Lines carry no time: what collects them adds
it. A call below the level of its package costs one comparison. Protocol traces have three levels
of their own: `trace` shows lines, `traceauth` also authentication exchanges, `tracedata` also
message data.

Quoting follows Go and JSON: no value can forge a field, a line or a terminal escape.
"""

from __future__ import annotations

import base64
import dataclasses
import enum
import logging
import re
import sys
import traceback
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Final, Literal, Protocol

Kind = Literal["line", "auth", "data"]


class Level(enum.IntEnum):
    """Severity, low to high; `fatal` and `print` are always written."""

    TRACEDATA = 1
    TRACEAUTH = 2
    TRACE = 3
    DEBUG = 4
    INFO = 5
    WARN = 6
    ERROR = 7
    FATAL = 8
    PRINT = 9


# What a LogLevel may be in the configuration and on the command line.
LEVELS: Final[Mapping[str, Level]] = {level.name.lower(): level for level in Level}
_NAMES: Final = {level: level.name.lower() for level in Level}
_NEEDS_QUOTES = re.compile(r'[^\x21-\x7e]|["\\=]')
_UNITS = ((3600, "h"), (60, "m"))


class Stream(Protocol):
    """Where lines go: standard error, or a buffer in tests."""

    def write(self, text: str, /) -> object: ...

    def flush(self) -> object: ...


class _Package:
    """The level in force for one package; shared by all its loggers."""

    __slots__ = ("level", "name")

    def __init__(self, name: str, level: Level) -> None:
        self.name = name
        self.level = level


class _Sink:
    """The process's output: one per process by nature, like standard error itself."""

    def __init__(self) -> None:
        self.default = Level.DEBUG
        self.levels: dict[str, Level] = {}
        self.packages: dict[str, _Package] = {}
        self.stream: Stream | None = None
        self.human = False
        self.count: Callable[[str], None] | None = None

    def package(self, name: str) -> _Package:
        found = self.packages.get(name)
        if found is None:
            found = self.packages[name] = _Package(name, self.levels.get(name, self.default))
        return found

    def write(self, level: Level, line: str) -> None:
        stream = self.stream or sys.stderr
        try:
            stream.write(line)
            stream.flush()
        except (OSError, ValueError):
            # The reader of our log is gone, and there is no other place to say so: mail goes on.
            return
        if self.count is not None:
            self.count(_NAMES[level])


_sink = _Sink()


def configure(
    level: str = "debug",
    package_levels: Mapping[str, str] | None = None,
    stream: Stream | None = None,
    *,
    human: bool = False,
) -> None:
    """Set the default level, levels per package, and the output (default standard error).

    `human` writes `level: message: error; key=value` as the command-line tools do.
    Raises KeyError for an unknown level name.
    """
    _sink.default = LEVELS[level]
    _sink.levels = {name: LEVELS[text] for name, text in (package_levels or {}).items()}
    _sink.stream = stream
    _sink.human = human
    for package in _sink.packages.values():
        package.level = _sink.levels.get(package.name, _sink.default)


def levels() -> tuple[str, dict[str, str]]:
    """The default level and the levels set per package, by name."""
    return _NAMES[_sink.default], {name: _NAMES[level] for name, level in _sink.levels.items()}


def count_lines(count: Callable[[str], None] | None) -> None:
    """Call `count` with the level's name for each line written: for metrics."""
    _sink.count = count


def logger(package: str) -> Logger:
    """The logger of a package, one of the names users set levels for."""
    return Logger(_sink.package(package), (), ())


class Logger:
    """Writes lines for one package, with fields bound to a connection or job."""

    # Each connection has one: names are shared by all that bind the same, which a dict is not.
    __slots__ = ("_names", "_package", "_suffix", "_values")

    def __init__(
        self, package: _Package, names: tuple[str, ...], values: tuple[object, ...]
    ) -> None:
        self._package = package
        self._names = names
        self._values = values
        self._suffix: str | None = None

    @property
    def _bound(self) -> dict[str, object]:
        return dict(zip(self._names, self._values, strict=True))

    def bind(self, **fields: object) -> Logger:
        """A logger that adds `fields` to each line; `cid` comes last and in hexadecimal."""
        bound = {**self._bound, **fields}
        return Logger(self._package, _shared(tuple(bound)), tuple(bound.values()))

    def enabled(self, level: str) -> bool:
        """Whether lines of this level are written: ask before costly fields are made."""
        return self._package.level <= LEVELS[level]

    def trace_enabled(self) -> bool:
        """Whether protocol traces are written at all."""
        return self._package.level <= Level.TRACE

    def trace(self, message: str, *, err: BaseException | str | None = None, **f: object) -> None:
        if self._package.level <= Level.TRACE:
            self._emit(Level.TRACE, message, err, f)

    def debug(self, message: str, *, err: BaseException | str | None = None, **f: object) -> None:
        if self._package.level <= Level.DEBUG:
            self._emit(Level.DEBUG, message, err, f)

    def info(self, message: str, *, err: BaseException | str | None = None, **f: object) -> None:
        if self._package.level <= Level.INFO:
            self._emit(Level.INFO, message, err, f)

    def warn(self, message: str, *, err: BaseException | str | None = None, **f: object) -> None:
        if self._package.level <= Level.WARN:
            self._emit(Level.WARN, message, err, f)

    def error(self, message: str, *, err: BaseException | str | None = None, **f: object) -> None:
        if self._package.level <= Level.ERROR:
            self._emit(Level.ERROR, message, err, f)

    def exception(
        self, message: str, *, err: BaseException | str | None = None, **f: object
    ) -> None:
        """An error line with the stack of `err`, or of the exception being handled."""
        err = err if err is not None else sys.exception()
        if isinstance(err, BaseException):
            f["stack"] = "".join(traceback.format_exception(err)).rstrip()
        self._emit(Level.ERROR, message, err, f)

    def fatal(self, message: str, *, err: BaseException | str | None = None, **f: object) -> None:
        """The line before the process gives up; written at every level. The caller exits."""
        self._emit(Level.FATAL, message, err, f)

    def print(self, message: str, **f: object) -> None:
        """A line for the administrator that no level hides."""
        self._emit(Level.PRINT, message, None, f)

    def trace_protocol(self, prefix: str, data: bytes, kind: Kind = "line") -> None:
        """Show what was read (`C: `) or written (`S: `) at the level that `kind` asks for."""
        threshold = self._package.level
        if threshold > Level.TRACE:
            return
        if kind == "auth" and threshold > Level.TRACEAUTH:
            self._emit(Level.TRACE, prefix + "***", None, {})
        elif kind == "data" and threshold > Level.TRACEDATA:
            self._emit(Level.TRACE, prefix + "...", None, {"size": len(data)})
        else:
            level = {"line": Level.TRACE, "auth": Level.TRACEAUTH, "data": Level.TRACEDATA}[kind]
            text = data.decode("utf-8", "backslashreplace")
            self._emit(level, prefix + text, None, {"size": len(data)})

    def _emit(
        self,
        level: Level,
        message: str,
        err: BaseException | str | None,
        fields: Mapping[str, object],
    ) -> None:
        if _sink.human:
            _sink.write(level, self._human(level, message, err, fields))
            return
        if self._suffix is None:
            self._suffix = _pairs(self._bound)
        parts = [f"l={_NAMES[level]} m={quote(message)}"]
        if err is not None:
            parts.append(f" err={render(err)}")
        parts.append(f" pkg={self._package.name}")
        cid = "" if "cid" not in fields else _cid(fields["cid"])
        _sink.write(level, f"{''.join(parts)}{_pairs(fields)}{self._suffix_with(cid)}\n")

    def _suffix_with(self, cid: str) -> str:
        if not cid and "cid" in self._names:
            cid = _cid(self._bound["cid"])
        return f"{self._suffix}{cid}"

    def _human(
        self,
        level: Level,
        message: str,
        err: BaseException | str | None,
        fields: Mapping[str, object],
    ) -> str:
        text = f"{_NAMES[level]}: {message}" if level != Level.PRINT else message
        if err is not None:
            text += f": {describe(err)}"
        everything = {**fields, **self._bound}
        rest = [f"; {key}={render(value)}" for key, value in everything.items() if key != "stack"]
        lines = "".join(c if c.isprintable() else " " for c in text) + "".join(rest)
        stack = fields.get("stack")
        return f"{lines}\n" if stack is None else f"{lines}\n{stack}\n"


@cache
def _shared(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the same tuple for all who have these names; the code has a few dozen sets."""
    return names


def _pairs(fields: Mapping[str, object]) -> str:
    return "".join([f" {key}={render(value)}" for key, value in fields.items() if key != "cid"])


def _cid(value: object) -> str:
    return f" cid={value:x}" if isinstance(value, int) else f" cid={render(value)}"


def describe(err: BaseException | str) -> str:
    """The text of an error; Python's own exceptions are named, as their texts alone say little."""
    if isinstance(err, str):
        return err
    text, kind = str(err), type(err)
    if kind.__module__ == "builtins" and not isinstance(err, OSError):
        return f"{kind.__name__}: {text}" if text else kind.__name__
    return text or kind.__name__


def render(value: object) -> str:
    """A value as it stands after `key=`: plain if it can be, else quoted."""
    text = value if type(value) is str else str(value) if type(value) is int else _text(value)
    return quote(text) if _NEEDS_QUOTES.search(text) else text


def quote(text: str) -> str:
    """Quote as Go and JSON do; whatever is not printable becomes an escape."""
    text = text.replace("\\", "\\\\").replace('"', '\\"')
    if not text.isprintable():
        text = "".join([c if c.isprintable() else _escape(c) for c in text])
    return f'"{text}"'


def _escape(char: str) -> str:
    short = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(char)
    if short is not None:
        return short
    code = ord(char)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _text(value: object) -> str:
    match value:
        case str():
            return value.value if isinstance(value, enum.Enum) else value
        case bool():
            return "true" if value else "false"
        case None:
            return ""
        case BaseException():
            return describe(value)
        case bytes() | bytearray() | memoryview():
            return base64.urlsafe_b64encode(value).rstrip(b"=").decode("ascii")
        case enum.Enum():
            return _text(value.value)
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case timedelta():
            return go_duration(value.total_seconds())
        case list() | tuple() | set() | frozenset():
            items = list(value)
            separator = "," if items and all(isinstance(item, str) for item in items) else ";"
            return f"[{separator.join([_text(item) for item in items])}]"
    return _object(value)


def _object(value: object) -> str:
    plain = type(value).__str__ is object.__str__
    if plain and dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value)]
        return " ".join([f"{name}={_text(getattr(value, name))}" for name in names])
    return str(value)


def go_duration(seconds: float) -> str:
    """Seconds as Go writes a duration: `1h2m3.5s`, `250ms`, `0s`."""
    sign, rest = ("-", -seconds) if seconds < 0 else ("", seconds)
    if rest == 0:
        return "0s"
    if rest < 1:
        for factor, unit in ((1e3, "ms"), (1e6, "µs")):
            if rest * factor >= 1:
                return f"{sign}{rest * factor:.6g}{unit}"
        return f"{sign}{round(rest * 1e9)}ns"
    text = ""
    for size, unit in _UNITS:
        if text or rest >= size:
            text += f"{int(rest // size)}{unit}"
            rest %= size
    return f"{sign}{text}{rest:.9f}".rstrip("0").rstrip(".") + "s"


class StdlibHandler(logging.Handler):
    """Brings the lines of libraries that use the standard library's logging into ours."""

    def __init__(self, log: Logger) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        err = record.exc_info[1] if record.exc_info else None
        fields = {"source": record.name}
        if record.levelno >= logging.ERROR:
            self._log.error(record.getMessage(), err=err, **fields)
        elif record.levelno >= logging.WARNING:
            self._log.warn(record.getMessage(), err=err, **fields)
        else:
            self._log.debug(record.getMessage(), err=err, **fields)

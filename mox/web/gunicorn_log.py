"""gunicorn's log in our form."""

from __future__ import annotations

from gunicorn.config import Config
from gunicorn.glogging import Logger

from mox import logfmt

_log = logfmt.logger("http")


class LogfmtLogger(Logger):
    """Takes the place of gunicorn's logger class.

    What it says of every client that sends nonsense is for debugging: anyone can send nonsense.
    """

    def setup(self, cfg: Config) -> None:
        """Without files and handlers of its own."""
        self.cfg = cfg

    @property
    def access_log_enabled(self) -> bool:
        return False

    def critical(self, msg: str, *args: object, **kwargs: object) -> None:
        self.error(msg, *args, **kwargs)

    def error(self, msg: str, *args: object, **kwargs: object) -> None:
        if kwargs.get("exc_info"):
            _log.exception(_text(msg, args))
        else:
            _log.error(_text(msg, args))

    def warning(self, msg: str, *args: object, **kwargs: object) -> None:
        _log.debug(_text(msg, args))

    def info(self, msg: str, *args: object, **kwargs: object) -> None:
        _log.debug(_text(msg, args))

    def debug(self, msg: str, *args: object, **kwargs: object) -> None:
        # At start it tells its settings, four thousand octets that nobody here has chosen.
        if _log.trace_enabled() and not msg.startswith("Current configuration"):
            _log.trace(_text(msg, args))

    def exception(self, msg: str, *args: object, **kwargs: object) -> None:
        _log.exception(_text(msg, args))

    def log(self, lvl: int | str, msg: str, *args: object, **kwargs: object) -> None:
        _log.debug(_text(msg, args))

    def close_on_exec(self) -> None:
        """There is no file of ours."""

    def reopen_files(self) -> None:
        """There is no file of ours."""


def _text(msg: object, args: tuple[object, ...]) -> str:
    return str(msg) % args if args else str(msg)

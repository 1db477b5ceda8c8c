"""The configuration of a running server: noticing changes of domains.conf, and making them.

Several processes use the files. Each looks for itself whether domains.conf changed; one at a time
writes it, under a lock, as a complete new file.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mox import sconf
from mox.config.decode import decode
from mox.config.dynamic import Dynamic
from mox.config.encode import update
from mox.config.errors import ConfigError, ConfigErrors
from mox.config.load import (
    Config,
    Signature,
    domains_path,
    load,
    normalize_dynamic,
    read_file,
    reload,
    signature_of,
)
from mox.config.report import Report

CHECK_INTERVAL_S = 1.0
LOCK_TIMEOUT_S = 10.0
_LOCK_RETRY_S = 0.05


def _ignore(_errors: ConfigErrors) -> None:
    """Stand in for the callback of those who do not care."""


class ConfigFile:
    """mox.conf as it was at the start, and domains.conf as it is now."""

    def __init__(
        self,
        path: Path,
        *,
        clock: Callable[[], float] = time.monotonic,
        on_error: Callable[[ConfigErrors], None] = _ignore,
        check_files: bool = True,
    ) -> None:
        """Load both files; raises ConfigErrors.

        `on_error` is called once for each state of domains.conf that cannot be used.
        """
        self._clock = clock
        self._on_error = on_error
        self._check_files = check_files
        self._domains = domains_path(path)
        # Taken before reading: a change in between is noticed afterwards.
        self._signature = self._stat()
        self._checked = clock()
        self._config = load(path, check_files=check_files)

    @property
    def current(self) -> Config:
        """The configuration in force. Looks at domains.conf at most once a second."""
        now = self._clock()
        if now - self._checked >= CHECK_INTERVAL_S:
            self._checked = now
            signature = self._stat()
            if signature != self._signature:
                self._signature = signature
                self._read()
        return self._config

    def _stat(self) -> Signature | None:
        try:
            return signature_of(self._domains.stat())
        except OSError:
            return None

    def _read(self) -> None:
        """Take over a changed file, or keep the old state and tell why."""
        try:
            data, self._signature = read_file(self._domains)
            self._config = reload(self._config, data, check_files=self._check_files)
        except ConfigErrors as errors:
            self._on_error(errors)

    def change(self, make: Callable[[Dynamic], Dynamic]) -> Config:
        """Replace domains.conf by what `make` returns for its present content.

        Comments and order of the rest are kept. The result is checked like any other, is in force
        when this returns, and nothing changed when it raises: ConfigErrors, SconfError, what
        `make` raises, OSError. May wait for another process that is doing the same.
        """

        def edit(document: sconf.Document) -> None:
            report = Report(self._domains, document)
            old = decode(Dynamic, report)
            if report.errors:
                raise ConfigErrors(report.errors)
            update(document, old, make(normalize_dynamic(old, report)))

        return self.edit(edit)

    def edit(self, change: Callable[[sconf.Document], None]) -> Config:
        """Change the tree of domains.conf directly; otherwise like `change`."""
        with _locked(self._domains):
            data, _ = read_file(self._domains)
            document = sconf.parse(data)
            if document.faults:
                self._raise_faults(document)
            change(document)
            text = document.text().encode()
            config = reload(self._config, text, check_files=self._check_files)
            self._signature = replace_file(self._domains, text)
        self._config = config
        return config

    def _raise_faults(self, document: sconf.Document) -> None:
        raise ConfigErrors(
            ConfigError(self._domains, fault.line, "", fault.message) for fault in document.faults
        )


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock of a file against other writers. Raises ConfigErrors after a while."""
    lock = path.with_name(path.name + ".lock")
    # A lock file of its own: the file itself is replaced by each change.
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o660)
    try:
        deadline = time.monotonic() + LOCK_TIMEOUT_S
        while not _try_lock(descriptor):
            if time.monotonic() > deadline:
                raise ConfigErrors([ConfigError(path, 0, "", "another program is changing it")])
            time.sleep(_LOCK_RETRY_S)
        yield
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    # Not waiting in the system call, which would stop all greenlets of the process.
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def replace_file(path: Path, data: bytes) -> Signature:
    """Replace a file durably by one with the same owner and mode. Raises OSError.

    Who looks sees the old or the new content, never a part; also after a crash.
    """
    status = path.stat()
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            created = os.fstat(file.fileno())
            if (created.st_uid, created.st_gid) != (status.st_uid, status.st_gid):
                os.fchown(file.fileno(), status.st_uid, status.st_gid)
            os.fchmod(file.fileno(), status.st_mode & 0o7777)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            signature = signature_of(os.fstat(file.fileno()))
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    _sync_directory(path.parent)
    return signature


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

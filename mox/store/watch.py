"""Noticing other programs' changes at once, in mailboxes that a session has selected: inotify.

The mirror of our own renames comes by here too; it is told apart by the index, which knows the
file already. Events are collected for a moment first, so that a commit of ours that follows its
rename is seen as such.
"""

from __future__ import annotations

import ctypes
import os
import struct
import time
from typing import TYPE_CHECKING

import gevent
from gevent.socket import wait_read

from mox import logfmt
from mox.store.errors import StoreError
from mox.store.model import MailboxId

if TYPE_CHECKING:
    from mox.store.account import Account

log = logfmt.logger("store")

# linux/inotify.h
_MODIFY_CLOSE = 0x8
_MOVED_FROM = 0x40
_MOVED_TO = 0x80
_CREATE = 0x100
_DELETE = 0x200
_OVERFLOW = 0x4000
_IGNORED = 0x8000
_ONLYDIR = 0x1000000
_WANTED = _MODIFY_CLOSE | _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE | _ONLYDIR
_EVENT = struct.Struct("iIII")

_SETTLE_S = 0.15
_POLL_S = 1.0

_libc = ctypes.CDLL(None, use_errno=True)
_Key = tuple[int, int]  # account id, mailbox id


class FileWatch:
    """One session's interest in a mailbox's files."""

    __slots__ = ("_watched", "_watcher")

    def __init__(self, watcher: FileWatcher, watched: _Watched) -> None:
        self._watcher: FileWatcher | None = watcher
        self._watched = watched

    def cancel(self) -> None:
        if self._watcher is not None:
            self._watcher.release(self._watched)
            self._watcher = None


class _Watched:
    __slots__ = ("account", "mailbox_id", "polled", "users", "wds")

    def __init__(self, account: Account, mailbox_id: MailboxId) -> None:
        self.account = account
        self.mailbox_id = mailbox_id
        self.users = 0
        self.wds: list[int] = []
        self.polled = False


class FileWatcher:
    """All watches of a process, on one inotify descriptor that is opened at first use."""

    def __init__(self) -> None:
        self._fd = -1
        self._watched: dict[_Key, _Watched] = {}
        self._by_wd: dict[int, tuple[_Watched, str]] = {}
        self._pending: dict[_Key, set[str]] = {}
        self._reader: gevent.Greenlet[..., None] | None = None
        self._poller: gevent.Greenlet[..., None] | None = None

    def watch(self, account: Account, mailbox_id: MailboxId) -> FileWatch:
        key = (account.id, int(mailbox_id))
        watched = self._watched.get(key)
        if watched is None:
            watched = self._watched[key] = _Watched(account, mailbox_id)
            self._start(watched)
        watched.users += 1
        return FileWatch(self, watched)

    def release(self, watched: _Watched) -> None:
        watched.users -= 1
        if watched.users:
            return
        del self._watched[watched.account.id, int(watched.mailbox_id)]
        for wd in watched.wds:
            if self._by_wd.pop(wd, None) is not None:
                _libc.inotify_rm_watch(self._fd, wd)

    def close(self) -> None:
        for greenlet in (self._reader, self._poller):
            if greenlet is not None:
                greenlet.kill()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _start(self, watched: _Watched) -> None:
        try:
            self._open()
            directory = watched.account.directory(watched.mailbox_id)
            for sub in ("new", "cur"):
                wd = self._add(f"{directory}/{sub}")
                watched.wds.append(wd)
                self._by_wd[wd] = (watched, sub)
        except OSError as e:
            log.warn(
                "cannot watch mailbox with inotify, looking every second instead; "
                "raise fs.inotify.max_user_watches and max_user_instances",
                err=e,
                account=watched.account.name,
            )
            watched.polled = True
            if self._poller is None:
                self._poller = gevent.spawn(self._poll)

    def _open(self) -> None:
        if self._fd >= 0:
            return
        fd = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if fd < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), "inotify")
        self._fd = fd
        self._reader = gevent.spawn(self._read)

    def _add(self, path: str) -> int:
        wd: int = _libc.inotify_add_watch(self._fd, os.fsencode(path), _WANTED)
        if wd < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), path)
        return wd

    def _read(self) -> None:
        while True:
            wait_read(self._fd)
            try:
                data = os.read(self._fd, 65536)
            except BlockingIOError:
                continue
            self._note(data)

    def _note(self, data: bytes) -> None:
        offset = 0
        while offset < len(data):
            wd, mask, _, length = _EVENT.unpack_from(data, offset)
            offset += _EVENT.size + length
            if mask & _OVERFLOW:
                gevent.spawn(self._look_at_all)
            elif mask & _IGNORED:
                self._by_wd.pop(wd, None)
            elif wd in self._by_wd:
                watched, sub = self._by_wd[wd]
                name = os.fsdecode(data[offset - length : offset].rstrip(b"\0"))
                if name and not name.startswith("."):
                    self._add_pending(watched, f"{sub}/{name}", created=bool(mask & _CREATE))

    def _add_pending(self, watched: _Watched, path: str, *, created: bool) -> None:
        key = (watched.account.id, int(watched.mailbox_id))
        if key in self._pending:
            self._pending[key].add(path)
            return
        self._pending[key] = {path}
        # A file made in place is written to for a while: its close or link is waited for.
        gevent.spawn_later(_SETTLE_S * (2 if created else 1), self._settle, key)

    def _settle(self, key: _Key) -> None:
        paths = self._pending.pop(key)
        watched = self._watched.get(key)
        if watched is None:
            return
        fresh = self._still_written(watched, paths)
        for path in fresh:
            self._add_pending(watched, path, created=True)
        if paths - fresh:
            self._guarded(watched, paths - fresh)

    def _still_written(self, watched: _Watched, paths: set[str]) -> set[str]:
        account = watched.account
        directory = account.present_directory(watched.mailbox_id)
        if directory is None:
            return set()
        return account.store.pool.apply(_still_written, (directory, paths))

    def _guarded(self, watched: _Watched, paths: set[str] | None) -> None:
        """Look at some paths or all; what fails now is found by the next SELECT's comparison."""
        try:
            if paths is None:
                watched.account.refresh(watched.mailbox_id)
            else:
                watched.account.look_at(watched.mailbox_id, paths)
        except (StoreError, OSError) as e:
            log.error("comparing mailbox files", err=e, account=watched.account.name)

    def _look_at_all(self) -> None:
        for watched in list(self._watched.values()):
            self._guarded(watched, None)

    def _poll(self) -> None:
        while True:
            gevent.sleep(_POLL_S)
            for watched in list(self._watched.values()):
                if watched.polled:
                    self._guarded(watched, None)


def _still_written(directory: str, paths: set[str]) -> set[str]:
    """Files whose content changed a moment ago: more may come, a program copies into place.

    Blocks.
    """
    newest = time.time() - _SETTLE_S
    fresh: set[str] = set()
    for path in paths:
        try:
            if os.lstat(f"{directory}/{path}").st_mtime > newest:
                fresh.add(path)
        except OSError:
            continue  # gone: that is what is to be noticed
    return fresh

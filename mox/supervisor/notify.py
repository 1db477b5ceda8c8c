"""Telling systemd how far we are (sd_notify(3)); without systemd nothing happens."""

from __future__ import annotations

import os
import socket
import time

from gevent.monkey import get_original

from mox.logfmt import Logger

VARIABLE = "NOTIFY_SOCKET"
_PlainSocket: type[socket.socket] = get_original("socket", "socket")


class Notifier:
    """Sends states to the socket that the environment names.

    The variable is taken out of the environment: children must not speak for us.
    """

    def __init__(self, log: Logger) -> None:
        self.address = os.environ.pop(VARIABLE, "")
        self._log = log

    def ready(self) -> None:
        self._send("READY=1")

    def reloading(self) -> None:
        # systemd wants the time at which the reload began (Type=notify-reload).
        now_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send(f"RELOADING=1\nMONOTONIC_USEC={now_us}")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def _send(self, state: str) -> None:
        if not self.address:
            return
        # A leading @ stands for Linux' abstract namespace.
        name = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        try:
            with _PlainSocket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.setblocking(False)
                sock.sendto(state.encode(), name)
        except OSError as exc:
            self._log.warn("telling the service manager", err=exc, socket=self.address)

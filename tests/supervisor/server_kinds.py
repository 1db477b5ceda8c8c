"""Tiny worker kinds for the tests of the supervisor."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import gevent
from gevent.pool import Pool

from mox.serving.connection import Connection
from mox.serving.context import Context
from mox.serving.server import Admission, serve


def echo(ctx: Context) -> None:
    """Answer each connection with facts about this process; a line `wait` keeps it open."""

    def handle(client: socket.socket) -> None:
        with client:
            client.sendall(_facts(ctx))
            word = client.recv(100)
            if word == b"wait\n":
                ctx.stopping.wait()
                client.sendall(b"bye\n")
            elif word == b"stuck\n":
                gevent.sleep(60)
            elif word == b"raise\n":
                gevent.spawn(int, "x").join()

    pool = Pool()

    def accept(listener: socket.socket) -> None:
        while True:
            client, _ = listener.accept()
            pool.spawn(handle, client)

    acceptors = [gevent.spawn(accept, listen.sock) for listen in ctx.listens]
    if ctx.config.text == "never ready":  # type: ignore[attr-defined]
        raise ValueError("cannot serve like this")
    ctx.ready()
    ctx.stopping.wait()
    gevent.killall(acceptors)
    pool.join()


def share(ctx: Context) -> None:
    """Say the same facts by the server that all protocols use, until the client goes."""

    def handle(conn: Connection) -> None:
        conn.send(_facts(ctx))
        while conn.recv(60, idle=True):
            pass

    serve(ctx, handle, Admission("imap", frozenset(), lambda conn, refusal: b"refused\n"))


def _facts(ctx: Context) -> bytes:
    text = ctx.config.text  # type: ignore[attr-defined]
    ids = f"{os.getuid()} {os.getgid()} {len(os.getgroups())}"
    return f"{os.getpid()} {ctx.slot} {ids} {text}\n".encode()


def alone(ctx: Context) -> None:
    """An exclusive kind: write down when it begins and ends."""
    trace = Path(ctx.data_dir) / "run" / "alone"
    with trace.open("a") as file:
        print("begin", os.getpid(), time.monotonic(), file=file)
    ctx.ready()
    ctx.stopping.wait()
    gevent.sleep(0.2)
    with trace.open("a") as file:
        print("end", os.getpid(), time.monotonic(), file=file)


def crash(ctx: Context) -> None:
    """Fail at once, always."""
    ctx.ready()
    # In one piece: the supervisor writes to the same pipe.
    os.write(2, f"crashing {time.monotonic()}\n".encode())
    raise RuntimeError("as planned")

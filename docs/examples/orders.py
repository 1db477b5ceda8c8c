#!/usr/bin/env python3
"""A shop that sends mail about orders, hears of those that bounce, and reads what customers write.

It works against `make localserve`, where all mail comes back to the same account, once the account
has the webhooks of docs/webapi.md in its configuration. With the Python of the virtual environment
that mox is in:

    .venv/bin/python docs/examples/orders.py http://mox%40localhost:moxmoxmox@localhost:1080/webapi/

It ends with status 0 when everything has happened, after a second or so. Another port for the
webhooks is its second argument.
"""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections.abc import Callable
from wsgiref.simple_server import WSGIRequestHandler, make_server

from mox.webapi.client import Client, Refused, Upload
from mox.webapi.hooks import Event, Incoming, Outgoing
from mox.webapi.receiver import Call, Receiver
from mox.webapi.types import NameAddress, SendRequest

SECRET = "Bearer a-secret"  # noqa: S105
PORT = 8025
SECONDS = 60
# localserve refuses mail to addresses that end like this one, as a server without this user does.
CUSTOMERS = {"1001": "ada@example.org", "1002": "nobody-permerror@example.org"}


def main() -> int:
    calls: queue.Queue[Call] = queue.Queue()
    stop = listen(calls, int(sys.argv[2]) if len(sys.argv) > 2 else PORT)
    try:
        with Client(sys.argv[1]) as client:
            shop = Shop(client)
            for order, customer in CUSTOMERS.items():
                shop.confirm(order, customer)
            return shop.watch(calls, SECONDS)
    finally:
        stop()


class Shop:
    """`waiting` are the orders whose mail is on its way."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.run = time.time_ns()
        self.waiting: set[str] = set()
        self.seen: set[int] = set()
        self.has_mail = False

    def confirm(self, order: str, customer: str) -> None:
        """Send a message with a file. `extra` comes back in each webhook about it."""
        message = SendRequest(
            to=(NameAddress(address=customer),),
            subject=f"Your order {order}",
            text="Thank you. The invoice is attached.\n",
            extra={"order": order, "run": str(self.run)},
        )
        invoice = Upload(f"Order {order}: 2 pears\n".encode(), f"invoice-{order}.txt")
        # With a key for the order the mail is sent once, however often this is called.
        key = f"confirm-{order}-{self.run}"
        result = self.client.send(message, attached=[invoice], idempotency_key=key)
        self.waiting.add(order)
        print(f"order {order}: sent to {customer} as {result.message_id}")

    def watch(self, calls: queue.Queue[Call], seconds: float) -> int:
        """Take webhooks until all has happened that should."""
        deadline = time.monotonic() + seconds
        while self.waiting or not self.has_mail:
            try:
                call = calls.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                print("webhooks are missing; are they in domains.conf?", file=sys.stderr)
                return 1
            if call.id in self.seen:  # a repetition, because our answer was lost
                continue
            self.seen.add(call.id)
            if isinstance(call.payload, Outgoing):
                self.sent(call.payload)
            else:
                self.received(call.payload)
        return 0

    def sent(self, event: Outgoing) -> None:
        """Learn what became of a message."""
        order = event.extra.get("order", "")
        if event.extra.get("run") != str(self.run):
            return  # of an earlier run
        print(f"order {order}: {event.event} {event.error}")
        match event.event:
            case Event.DELIVERED | Event.RELAYED:
                self.waiting.discard(order)
            case Event.FAILED | Event.SUPPRESSED:
                self.waiting.discard(order)
                self.bounced(order)
            case _:
                pass  # delayed: it is tried again

    def bounced(self, order: str) -> None:
        """The server does not send to the address any more, until it is taken off the list."""
        customer = CUSTOMERS[order]
        if self.client.suppression_present(customer):
            print(f"order {order}: {customer} is suppressed; this customer needs to be called")
            self.client.suppression_remove(customer)  # so that the example can run again

    def received(self, message: Incoming) -> None:
        """Read mail: of the message itself only what the webhook does not have needs a call."""
        sender = message.from_[0].address if message.from_ else "nobody"
        print(f"mail from {sender}: {message.subject}")
        try:
            self.client.message_flags_add(message.meta.msg_id, ["\\Seen"])
            self.client.message_move(message.meta.msg_id, "Archive")
        except Refused as e:
            print(f"message {message.meta.msg_id} stays where it is: {e.message}")
        self.has_mail = True


def listen(calls: queue.Queue[Call], port: int) -> Callable[[], None]:
    """Start the receiver; returns what stops it. In earnest, any WSGI server can have this."""

    class Quiet(WSGIRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    application = Receiver(SECRET).application(calls.put)
    server = make_server("localhost", port, application, handler_class=Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()

    def stop() -> None:
        server.shutdown()
        thread.join()
        server.server_close()

    return stop


if __name__ == "__main__":
    sys.exit(main())

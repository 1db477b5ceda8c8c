"""The replies that the server machine gives by itself, and those of `Server.accept`."""

from __future__ import annotations

from mox.smtp.events import Auth, AuthResponse, Data, DataEnd, Event, MailFrom, RcptTo, StartTLS
from mox.smtp.linebuffer import Bad
from mox.smtp.reply import Reply

OK = Reply(250, "2.0.0", "ok")
BYE = Reply(221, "2.0.0", "okay thanks bye")
HELP = Reply(214, "2.0.0", "see rfc 5321")
# RFC 5321 §7.3: 252 where addresses are not told.
CANNOT_VERIFY = Reply(252, "2.7.0", "no verify or expand, but will accept mail and try delivery")

OUT_OF_ORDER = Reply(503, "5.5.1", "bad sequence of commands")
UNKNOWN = Reply(500, "5.5.1", "unknown command")
NOT_SMTP = Reply(500, "5.5.2", "please try again speaking smtp")
BAD_OCTET = Reply(500, "5.5.2", "bad character in command")
BAD_LINES = {
    Bad.TOO_LONG: Reply(500, "5.5.0", "line too long"),
    Bad.BARE_LF: Reply(500, "5.5.2", "lines must end in carriage return and line feed"),
}

NO_TLS = Reply(503, "5.5.1", "tls not available or already on")
AUTH_REQUIRED = Reply(530, "5.7.0", "authentication required")
AUTH_NEEDS_TLS = Reply(538, "5.7.11", "encryption required for this mechanism")
AUTH_UNKNOWN = Reply(504, "5.5.4", "mechanism not supported")
AUTH_CANCELLED = Reply(501, "5.5.0", "authentication aborted")
AUTH_LINE_TOO_LONG = Reply(500, "5.5.6", "authentication line too long")

TOO_MANY_RECIPIENTS = Reply(452, "4.5.3", "too many recipients")
BARE_LINE_END = Reply(500, "5.5.2", "invalid bare \\r or \\n in message")
# RFC 1870 §6.3: 552 after the message, 5.3.4 by RFC 3463 §3.4.
TOO_LARGE = Reply(552, "5.3.4", "message over maximum size")

ACCEPTANCE: dict[type[Event], Reply] = {
    StartTLS: Reply(220, "2.0.0", "go!"),
    Auth: Reply(235, "2.7.0", "nice"),
    AuthResponse: Reply(235, "2.7.0", "nice"),
    MailFrom: Reply(250, "2.1.0", "looking good"),
    RcptTo: Reply(250, "2.1.0", "now on the list"),
    Data: Reply(354, None, "see you at the bare dot"),
    DataEnd: Reply(250, "2.2.0", "it is done"),
}

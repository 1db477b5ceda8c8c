"""IMAP4rev1 and IMAP4rev2 as a pure core: bytes in, events and command values; bytes out.

RFC 9051, RFC 3501 and the extensions named in `commands`. No sockets, clock, storage or message
parsing in here: `framing` turns octets into events, `state` says which command is allowed when,
`responses`, `codes` and `fetchresponse` write answers, `search` and `listing` compute over facts
that the shell hands in.

>>> from mox.imap import responses
>>> from mox.imap.framing import Reader
>>> reader = Reader()
>>> reader.feed(b"a1 NOOP\\r\\n")
>>> event = reader.next_event()
>>> event
CommandReady(command=Noop(tag='a1'))
>>> responses.tagged(event.command.tag, "OK", "done")
b'a1 OK done\\r\\n'
"""

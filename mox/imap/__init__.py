"""IMAP4rev1 and IMAP4rev2 as a pure core: bytes in, events and command values; bytes out.

No sockets, clock, storage or message parsing in here. `framing` turns octets into commands,
`state` says which command is allowed when, `responses` and `fetchresponse` write answers,
`search` and `listing` compute over facts that the shell hands in.
"""

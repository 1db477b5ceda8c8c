"""The IMAP server: sessions over the protocol core (mox.imap) and the store (mox.store).

RFC 9051 (IMAP4rev2) and RFC 3501 (IMAP4rev1) side by side: a session speaks rev1 until the client
enables IMAP4rev2. Grammar is in mox.imap, rules about mailboxes are in mox.store; here is what
joins them: states, what a client has been told and may be told when, limits, timeouts and logs.

Where things are: `worker` starts it, `session` is a connection's state, `loop` its command loop,
`table` names the handler of each command; handlers are in files by the RFC's states.
"""

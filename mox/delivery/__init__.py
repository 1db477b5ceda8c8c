"""What happens to a message: who gets it, whether it is taken, into which mailbox, or to the queue.

Incoming mail: `recipients` resolves addresses, `decision` is the pure rule, `incoming` applies it
and stores. Outgoing mail: `submission` checks what a user sends, `submit` puts it into the queue.
No sockets here; the shells of mox.smtpd, mox.queue and mox.web call in.
"""

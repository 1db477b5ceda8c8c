"""The SMTP shells: port 25 for other servers, submission for users' programs.

Sockets, time limits, metrics and logs are here; the protocol's grammar and order are in mox.smtp,
what happens to a message in mox.delivery. `worker.run` serves both kinds, `session` is one
connection, `incoming` and `submission` are the two sets of rules.
"""

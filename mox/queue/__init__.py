"""The queue process: takes due messages, groups them by next hop, delivers, retries, notifies.

RFC 5321 §4.5.4 for sending strategies, RFC 3464 for notifications. The durable side is
`mox.store.outgoing`; what is here can be killed at any point and begins again from there.
DANE, MTA-STS, webhooks and suppression lists are not part of it.
"""

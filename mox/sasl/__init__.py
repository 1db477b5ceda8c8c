"""SASL mechanisms as pure exchanges, server and client side (RFC 4422).

PLAIN (4616), LOGIN (an old draft, still in use), CRAM-MD5 (2195), SCRAM-SHA-1 and -SHA-256 with
and without channel binding (5802, 7677, 9266), EXTERNAL (4422 appendix A). Base64, protocol
framing and what a login is good for are the shells' business; where secrets come from is given in
as a `Secrets`.
"""

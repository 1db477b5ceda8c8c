"""SMTP as two pure machines: bytes in, events out; replies or requests in, bytes out.

RFC 5321 (protocol), 2920, 1870, 6152, 6531, 2034, 3030, 3207, 4954, 8689, 9422, 4865
(extensions), 4409/6409 (submission). No sockets, clock, files or policy in here: the shell
reads, feeds, decides, writes. `server` is one side, `client` the other.
"""

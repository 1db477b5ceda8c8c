"""Message authentication: SPF, DKIM, DMARC, ARC, iprev, as pure decisions over our resolver.

RFC 7208, RFC 6376, RFC 8463, RFC 9989 and RFC 7489, RFC 8617, RFC 8601. The libraries (pyspf,
dkimpy, authres) sit behind one module each; what comes out are the values of
`mox.mailauth.results`. Nothing here opens a socket, reads a clock or a
file: the resolver and the time are arguments.
"""

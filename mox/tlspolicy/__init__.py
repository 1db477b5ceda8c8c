"""Which TLS another server must offer: DANE, MTA-STS, REQUIRETLS, and what to report about it.

RFC 7672, RFC 8461, RFC 8689, RFC 8460. Pure: the resolver, the clock and the function that fetches
a policy are arguments.
"""

"""DNS for mail: one resolver for everything, with a cache, limits and one result type.

RFC 1035, RFC 7505 (null MX). No validation of our own: the AD bit counts only when every
configured name server is on this machine. Use::

    resolver = Resolver()
    answer = resolver.query("example.org", "TXT")
    hosts = mail_hosts(resolver, parse_domain("example.org"))
"""

from mox.dns.mail import Accepts, MailHosts, accepts_mail, mail_hosts
from mox.dns.resolver import Answer, Resolver, Status

__all__ = ["Accepts", "Answer", "MailHosts", "Resolver", "Status", "accepts_mail", "mail_hosts"]

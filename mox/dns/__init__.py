"""DNS for mail: one resolver for everything, with a cache, limits and one result type.

RFC 1035, RFC 2308, RFC 7505 (null MX), RFC 8914. No validation of our own: the AD bit counts when
every configured name server is on this machine, or resolv.conf has `options trust-ad`. Use::

    resolver = Resolver()
    answer = resolver.query("example.org", "TXT")
    hosts = mail_hosts(resolver, parse_domain("example.org"))
"""

from mox.dns.answer import Answer, ExtendedError, Status
from mox.dns.cache import SharedCache
from mox.dns.mail import Accepts, MailHosts, accepts_mail, mail_hosts
from mox.dns.resolver import Resolver

__all__ = [
    "Accepts",
    "Answer",
    "ExtendedError",
    "MailHosts",
    "Resolver",
    "SharedCache",
    "Status",
    "accepts_mail",
    "mail_hosts",
]

"""The fields of mox.conf: what belongs to the machine and needs a restart to change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from mox.config.authority import ACME, NO_STATIC_TLS, StaticTLS
from mox.config.listener import Listener
from mox.config.schema import Field
from mox.config.transport import Transport

INITIAL_MAILBOXES = ("Inbox", "Sent", "Archive", "Trash", "Drafts", "Junk")


@dataclass(frozen=True, slots=True, kw_only=True)
class Postmaster:
    """Where mail for the postmaster goes."""

    account: Annotated[str, Field("Account", "Name of an account in domains.conf.", example="mjl")]
    mailbox: Annotated[
        str,
        Field(
            "Mailbox",
            "Mailbox of that account. It is made when the first message arrives.",
            example="Postmaster",
        ),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostTLSRPT:
    """Where other servers' reports about TLS connections to this host go."""

    account: Annotated[str, Field("Account", "Name of an account in domains.conf.", example="mjl")]
    mailbox: Annotated[str, Field("Mailbox", "Mailbox of that account.", example="TLSRPT")]
    localpart: Annotated[
        str,
        Field(
            "Localpart",
            "Localpart at the host name that takes the reports, in ASCII.",
            example="tlsreports",
        ),
    ]

    @property
    def is_set(self) -> bool:
        """Tell whether reports are taken at all."""
        return self.localpart != ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecialUse:
    """Names of the mailboxes with a role (RFC 6154)."""

    sent: Annotated[str, Field("Sent", "For copies of sent messages.", example="Sent")] = ""
    archive: Annotated[
        str, Field("Archive", "For messages that are dealt with.", example="Archive")
    ] = ""
    trash: Annotated[str, Field("Trash", "For deleted messages.", example="Trash")] = ""
    draft: Annotated[str, Field("Draft", "For unfinished messages.", example="Drafts")] = ""
    junk: Annotated[str, Field("Junk", "For junk.", example="Junk")] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class InitialMailboxes:
    """Mailboxes that a new account starts with, besides Inbox."""

    special_use: Annotated[
        SpecialUse,
        Field("SpecialUse", "Mailboxes that mail programs recognise by their role."),
    ] = SpecialUse()
    regular: Annotated[
        tuple[str, ...], Field("Regular", "Further mailboxes.", example="Mailing lists")
    ] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Static:
    """The whole of mox.conf."""

    data_dir: Annotated[
        str,
        Field(
            "DataDir",
            "Directory for everything that the server stores: mail, queue, index, certificates "
            "from ACME. Relative to the directory of this file.",
            example="../data",
        ),
    ]
    log_level: Annotated[
        str,
        Field(
            "LogLevel",
            "How much is logged: error, warn, info, debug, trace, traceauth or tracedata. The "
            "trace levels log the protocol; traceauth shows passwords, tracedata messages too.",
            example="info",
        ),
    ]
    package_log_levels: Annotated[
        Mapping[str, str],
        Field(
            "PackageLogLevels",
            "Other levels for single parts of the server, such as smtpserver, imapserver, queue.",
            key="smtpserver",
            example="debug",
        ),
    ] = field(default_factory=dict)
    user: Annotated[
        str,
        Field(
            "User",
            "User that the server runs as once its ports are open. A number that is no user name "
            "is used as both user id and group id.",
        ),
    ] = "mox"
    no_fix_permissions: Annotated[
        bool,
        Field(
            "NoFixPermissions",
            "Do not repair owner and mode of configuration and data at the start.",
        ),
    ] = False
    hostname: Annotated[
        str,
        Field(
            "Hostname",
            "Full name of this machine, in lower case, without a dot at the end. The server calls "
            "itself this in SMTP; MX records point to it, and its address should resolve back.",
            example="mail.example.org",
        ),
    ]
    check_updates: Annotated[
        bool,
        Field(
            "CheckUpdates",
            "Ask DNS once a day for a new version and tell the postmaster what changed.",
        ),
    ] = False
    pedantic: Annotated[
        bool,
        Field(
            "Pedantic",
            "Refuse what the standards do not allow but common software does. Useful for tests of "
            "other software, unwise for real mail.",
        ),
    ] = False
    tls: Annotated[StaticTLS, Field("TLS", "TLS settings for all services.")] = NO_STATIC_TLS
    acme: Annotated[
        Mapping[str, ACME],
        Field(
            "ACME",
            "Authorities for automatic certificates, by a name that listeners refer to.",
            key="letsencrypt",
        ),
    ] = field(default_factory=dict)
    admin_password_file: Annotated[
        str,
        Field(
            "AdminPasswordFile",
            "File with the hash of the password for the admin pages, relative to the directory of "
            "this file. Read at each login.",
            example="adminpasswd",
        ),
    ] = ""
    listeners: Annotated[
        Mapping[str, Listener],
        Field(
            "Listeners",
            "Groups of IP addresses with the services offered on them, by name. The one named "
            "public is reachable from the internet: DNS advice and checks are about it.",
            key="public",
        ),
    ]
    postmaster: Annotated[
        Postmaster,
        Field(
            "Postmaster",
            "Account for mail to postmaster, to postmaster at the host name, and to postmaster at "
            "each domain that does not give this address to an account itself.",
        ),
    ]
    host_tlsrpt: Annotated[
        HostTLSRPT,
        Field(
            "HostTLSRPT",
            "Take reports from other servers about TLS connections to this host (RFC 8460), at an "
            "address at the host name.",
        ),
    ] = HostTLSRPT(account="", mailbox="", localpart="")
    initial_mailboxes: Annotated[
        InitialMailboxes,
        Field(
            "InitialMailboxes",
            "Mailboxes that new accounts start with, besides Inbox. Without it: Sent, Archive, "
            "Trash, Drafts and Junk.",
        ),
    ] = InitialMailboxes()
    default_mailboxes: Annotated[
        tuple[str, ...],
        Field(
            "DefaultMailboxes",
            "Older form of InitialMailboxes: names only. A name that begins with the name of a "
            "role gets this role.",
            example="Sent",
            deprecated=True,
        ),
    ] = ()
    transports: Annotated[
        Mapping[str, Transport],
        Field(
            "Transports",
            "Ways to deliver outgoing messages, by a name that routes refer to. A transport has "
            "one method or none; none means normal delivery to the recipient's domain.",
            key="relay",
        ),
    ] = field(default_factory=dict)
    no_outgoing_dmarc_reports: Annotated[
        bool,
        Field(
            "NoOutgoingDMARCReports",
            "Do not send DMARC aggregate reports about received mail to domains that ask for them.",
        ),
    ] = False
    no_outgoing_tls_reports: Annotated[
        bool,
        Field(
            "NoOutgoingTLSReports",
            "Do not send reports about TLS connections to domains that ask for them.",
        ),
    ] = False
    outgoing_tls_reports_for_all_success: Annotated[
        bool,
        Field(
            "OutgoingTLSReportsForAllSuccess",
            "Send TLS reports also when there was no failure to tell.",
        ),
    ] = False
    failure_copies_to: Annotated[
        str,
        Field(
            "FailureCopiesTo",
            "Address that gets a copy of what senders are told when their messages could not be "
            "delivered: recipient, error, and the header of the message. Without it there are no "
            "copies.",
            example="failures@example.org",
        ),
    ] = ""
    quota_message_size: Annotated[
        int,
        Field(
            "QuotaMessageSize",
            "Most bytes of messages in one account. Accounts can have another value. 0 means no "
            "limit.",
        ),
    ] = 0

    @property
    def special_use_mailboxes(self) -> Mapping[str, str]:
        """Map each role (`\\Sent`, …) of a new account to the name of its mailbox."""
        if self.default_mailboxes:
            return _roles_by_prefix(self.default_mailboxes)
        if self.initial_mailboxes == InitialMailboxes():
            return _roles_by_prefix(INITIAL_MAILBOXES)
        use = self.initial_mailboxes.special_use
        named = {
            "\\Sent": use.sent,
            "\\Archive": use.archive,
            "\\Trash": use.trash,
            "\\Drafts": use.draft,
            "\\Junk": use.junk,
        }
        return {role: name for role, name in named.items() if name}

    @property
    def new_account_mailboxes(self) -> tuple[str, ...]:
        """List the mailboxes of a new account, Inbox first."""
        if self.default_mailboxes:
            names: tuple[str, ...] = self.default_mailboxes
        elif self.initial_mailboxes == InitialMailboxes():
            return INITIAL_MAILBOXES
        else:
            names = (*self.special_use_mailboxes.values(), *self.initial_mailboxes.regular)
        return ("Inbox", *(name for name in dict.fromkeys(names) if name != "Inbox"))


def _roles_by_prefix(names: tuple[str, ...]) -> dict[str, str]:
    """Give each role to the first mailbox whose name begins with it, whatever its case."""
    prefixes = {
        "sent": "\\Sent",
        "archive": "\\Archive",
        "trash": "\\Trash",
        "draft": "\\Drafts",
        "junk": "\\Junk",
    }
    found: dict[str, str] = {}
    for name in names:
        for prefix, role in prefixes.items():
            if name.lower().startswith(prefix):
                found.setdefault(role, name)
    return found

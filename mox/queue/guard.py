"""What is known about TLS on the way to one domain, for one attempt, and what came of it.

It asks DNS for TLSA records and the cache (or the web) for the domain's MTA-STS policy; the
decision is `mox.tlspolicy.decision`'s. How sessions went is kept for reports.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mox import logfmt
from mox.queue import metrics
from mox.queue.services import Services
from mox.queue.session import Session
from mox.queue.verdict import Verdict
from mox.queue.way import Unroutable
from mox.store import sts_policies
from mox.store.outgoing_records import QueueMessage
from mox.tlspolicy import tlsa
from mox.tlspolicy.collect import PolicyResults, TLSSession, results_of
from mox.tlspolicy.decision import Decision, Ignored, Refusal, decide
from mox.tlspolicy.mtasts import RecordLookup, lookup_record
from mox.tlspolicy.policy import TLSPolicy
from mox.tlspolicy.report import FailureDetail, PolicyType, Problem, TLSResult
from mox.tlspolicy.stscache import Consulted, consult
from mox.tlspolicy.tlsa import Destination, MailHost, TLSALookup

log = logfmt.logger("queue")

_SECODES: Final = {
    Refusal.MX_MISMATCH: "7.0",
    Refusal.TLSA_UNKNOWN: "4.3",
    Refusal.NOT_AUTHENTICATED: "7.30",
}


class Guard:
    """See the module. Made for the messages of one attempt, which ask for the same of TLS."""

    def __init__(
        self, services: Services, destination: Destination, msg: QueueMessage | None
    ) -> None:
        """Raises Unroutable when nobody can say what the domain's policy is."""
        self._services = services
        self._destination = destination
        self._require_tls = None if msg is None else msg.require_tls
        self._msg = msg
        self._sessions: list[TLSSession] = []
        self._lookups: dict[str, tuple[TLSALookup, Decision]] = {}
        self._log = log.bind(domain=destination.domain)
        self._sts = self._consult()

    # ---- MTA-STS

    def _consult(self) -> Consulted:
        services, domain = self._services, self._destination.domain
        # RFC 8461 §3.1: the policy is that of the domain as written, not of its alias.
        found = consult(
            domain,
            sts_policies.get(services.ctx.store, domain),
            self._lookup_record,
            services.fetch_policy,
            services.clock(),
        )
        metrics.STS_POLICIES.labels(found.result).inc()
        if found.keep is not None:
            keep = found.keep
            services.ctx.store.later_write(lambda txn: sts_policies.put(txn, keep))
        if not found.error:
            return found
        self._log.info("MTA-STS policy", err=found.error, result=found.result)
        if found.unavailable and self._require_tls is not False:
            # RFC 8461 §4: without the answer an attacker could have made us miss it.
            error = f"looking up the MTA-STS record of {domain}: {found.error}"
            raise Unroutable(Verdict(secode="4.3", error=error))
        if self._require_tls is False:
            metrics.TLSREQUIRED_NO_IGNORED.labels(Ignored.STS_POLICY.value).inc()
        return found

    def _lookup_record(self, domain: str) -> RecordLookup:
        return lookup_record(self._services.resolver.query, domain)

    # ---- hosts

    def policy(self, host: MailHost) -> TLSPolicy:
        """Return what TLS with a host must be like. Raises Unroutable: it is not to be used."""
        found, names = self._look_up(host)
        decision = decide(host.name, self._sts.policy, found, names, self._require_tls)
        self._lookups[host.name] = (found, decision)
        for ignored in decision.ignored:
            metrics.TLSREQUIRED_NO_IGNORED.labels(ignored.value).inc()
        if decision.refusal is None:
            assert decision.policy is not None
            return decision.policy
        self._refuse(host, found, decision)
        if decision.refusal is Refusal.NOT_AUTHENTICATED:
            metrics.REQUIRETLS_UNSUPPORTED.labels("nopolicy").inc()
        error = f"{host.name}: {decision.refusal.value}{found.error and f': {found.error}'}"
        raise Unroutable(Verdict(secode=_SECODES[decision.refusal], error=error, host=host.name))

    def _look_up(self, host: MailHost) -> tuple[TLSALookup, tuple[str, ...]]:
        metrics.DESTINATIONS.inc()
        bases = tlsa.base_domains(self._destination, host)
        if not bases:
            return tlsa.NO_TLSA, ()
        metrics.DESTINATIONS_AUTHENTIC.inc()
        found = tlsa.lookup(self._services.resolver.query, bases)
        if found.error:
            metrics.TLSA_ERRORS.inc()
        elif found.records:
            metrics.DANE_REQUIRED.inc()
            if not found.usable:
                metrics.DANE_UNVERIFIED.inc()
        return found, tlsa.reference_names(self._destination, host, found.base)

    def _refuse(self, host: MailHost, found: TLSALookup, decision: Decision) -> None:
        if decision.refusal is not Refusal.NOT_AUTHENTICATED:
            self._add(host.name, found, decision, success=False)

    # ---- what came of it

    def note(self, host: str, session: Session) -> None:
        """Take down how a session with a host began, or that it did not get that far."""
        found, decision = self._lookups[host]
        self._add(host, found, decision, success=session.tls_success, session=session)
        problems = (*session.tls_problems, *session.checked.domain_problems)
        self._log.debug(
            "TLS with mail host",
            err=session.checked.failure or None,
            host=host,
            remote_ip=session.stream.remote_ip,
            tls=session.has_tls,
            tlsa=len(found.records),
            verified=str(session.checked.record or ""),
            mtasts=self._sts.policy.mode.value if self._sts.policy else "",
            problems=" ".join(f"{p.result_type} {p.reason}".strip() for p in problems),
        )
        for ignored in session.checked.ignored:
            metrics.VERIFICATION_IGNORED.labels(ignored.value).inc()

    def note_unroutable(self, host: str, problem: Problem) -> None:
        """Take down that the addresses of a host could not be validated."""
        session = TLSSession(host=host, tlsa=tlsa.NO_TLSA, success=False, problems=(problem,))
        self._sessions.append(session)

    def _add(
        self,
        host: str,
        found: TLSALookup,
        decision: Decision,
        *,
        success: bool | None,
        session: Session | None = None,
    ) -> None:
        checked = session.checked if session is not None else None
        more_domain = checked.domain_problems if checked is not None else ()
        more_host = checked.host_problems if checked is not None else ()
        self._sessions.append(
            TLSSession(
                host=host,
                tlsa=found,
                success=success,
                problems=session.tls_problems if session is not None else (),
                domain_problems=(*decision.domain_problems, *more_domain),
                host_problems=(*decision.host_problems, *more_host),
                sending_ip=str(session.stream.local_ip) if session is not None else "",
                receiving_ip=str(session.stream.remote_ip) if session is not None else "",
                helo=session.greeting if session is not None else "",
            )
        )

    def keep_results(self) -> None:
        """Keep what happened for the reports about this day."""
        sessions, self._sessions = self._sessions, []
        problems, domain = self._sts.problems, self._destination.domain
        if sessions or problems:
            found = results_of(domain, self._sts.policy, problems, sessions)
            _keep(self._services, domain, self._msg, found)


def keep_failure(services: Services, msg: QueueMessage, problem: Problem) -> None:
    """Keep for reports that the hosts of a message's domain could not be found out."""
    domain = msg.recipient.ascii_domain
    result = TLSResult(
        PolicyType.NO_POLICY_FOUND.value,
        policy_domain=domain,
        failure=1,
        details=(FailureDetail(problem.result_type.value, problem.reason),),
    )
    _keep(services, domain, msg, [PolicyResults(domain, False, (result,))])


def _keep(
    services: Services, domain: str, msg: QueueMessage | None, found: Sequence[PolicyResults]
) -> None:
    if services.config.static.no_outgoing_tls_reports:
        return
    # RFC 8460 §5.3: reports about the delivery of reports would never end.
    has_failure = any(result.has_failure for one in found for result in one.results)
    is_report = msg is not None and msg.is_report
    send = not is_report or (msg is not None and msg.is_dmarc_report and has_failure)
    services.results.add(domain, found, send=send)

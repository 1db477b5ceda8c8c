"""A DMARC evaluation with all that one can have."""

from __future__ import annotations

from mox.mailauth.dmarcevaluation import DMARCEvaluation, PublishedPolicy, Signature

NOW = 1_800_000_000
POLICY = PublishedPolicy(
    p="reject",
    sp="none",
    np="none",
    adkim="r",
    aspf="s",
    pct=100,
    testing=False,
    fo="0",
    discovery_method="treewalk",
)
EVALUATION = DMARCEvaluation(
    policy_domain="bücher.example",
    when=NOW,
    optional=False,
    interval_hours=24,
    addresses=(("mailto:r@bücher.example", 1 << 20), ("mailto:s@x.example", 0)),
    policy=POLICY,
    source_ip="2001:db8::1",
    disposition="reject",
    aligned_dkim=False,
    aligned_spf=True,
    overrides=("mailing_list", "policy_test_mode"),
    envelope_to="example.org",
    envelope_from="",
    header_from="mail.bücher.example",
    signatures=(Signature(domain="bücher.example", selector="s", result="fail", human_result="x"),),
    spf_domain="bücher.example",
    spf_scope="helo",
    spf_result="pass",
)

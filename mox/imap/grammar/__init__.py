"""The grammar of IMAP commands: RFC 9051 §9 and RFC 3501 §9, one file per group of rules."""

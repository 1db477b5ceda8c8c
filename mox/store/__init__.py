"""Accounts on disk: Maildir files beside one LMDB index, durable before anything is acknowledged."""

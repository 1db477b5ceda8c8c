"""`make bench`: what this machine makes of mox, in one run, on loopback and this disk.

Rates stand beside this machine's raw limit where there is one; compare ratios, not figures of
different machines or days.
"""

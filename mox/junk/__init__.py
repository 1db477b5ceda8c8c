"""The content filter: tokens of a message, and a bayesian classifier over counts of words.

Pure: counts come from a function that the caller gives, clock and store are unknown here.
"""

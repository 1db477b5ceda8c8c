"""The steps of the decision about one message for one destination, in files by subject.

A step looks at the case, leaves what it found for the next ones, and ends the decision or not.
Steps are pure: history, content filter, block lists and chance are asked through `Questions`.
"""

"""What tests of several packages share: fakes of the world outside, never of our own code."""

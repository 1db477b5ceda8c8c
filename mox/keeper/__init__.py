"""The keeper: one process with the server's clocks. It clears up and keeps names in step."""

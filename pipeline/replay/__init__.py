"""Replaying: the recorded inputs decided once more, in a process that holds no sender."""

"""Delivering: who gets a notice, whether now, what was tried and how it ended. Pure; the sending is in agents/."""

"""Doubles of the three channels: an SMTP server, Twilio and X, that keep what they received and fail as told."""

from pipeline.sandbox.faults import Fault
from pipeline.sandbox.server import Sandbox
from pipeline.sandbox.truth import Callback, Fired, Inbound, Mail, Post, Record, Text, read_truth

__all__ = ["Callback", "Fault", "Fired", "Inbound", "Mail", "Post", "Record", "Sandbox", "Text", "read_truth"]

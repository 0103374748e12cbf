"""The wire: frozen models of everything that stands in a topic, and the one codec that reads and writes them.

Imports nothing of ours; everything else imports it.
"""

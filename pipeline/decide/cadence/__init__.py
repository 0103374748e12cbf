"""Cadence: when an incident is told of, how urgently, and what becomes of promised times.

`at_once` judges what an event brings: told now, put off, or not told. `clock` holds the rules that time itself
triggers, each a small function that says when it is due next. `promises` keeps account of the next updates promised.
"""

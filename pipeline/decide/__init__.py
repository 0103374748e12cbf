"""Deciding: pure. State and input go in, a journal entry with its renderings and notices comes out."""

"""The log as SQL tables, for questions and figures: a fold of the sealed entries that can be made anew at any time.

`reading` says what an entry is about, `told`, `reached` and `people` what follows from it (pure); `store` writes that
in one transaction with the place in the log, `homes` knows where tables live and how new ones take the place of old
ones, `projector` follows the log, `rebuilding` starts over. Nobody's contact data is in it, not even sealed.
"""

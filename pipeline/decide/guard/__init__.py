"""Guard: what was said but must not be told, or not in these words."""

from pipeline.decide.guard.mending import mend
from pipeline.decide.guard.model import Action, Found, Rule, Said
from pipeline.decide.guard.rules import RULES, examine
from pipeline.decide.guard.withholding import tellable

__all__ = ["RULES", "Action", "Found", "Rule", "Said", "examine", "mend", "tellable"]

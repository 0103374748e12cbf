"""What every fault's run ends in: the sandboxes' own truth held against the records, and one line that says so."""

from dataclasses import dataclass

from schemas.delivery import Result
from tests.system import Delivered, System


@dataclass(frozen=True)
class Verdict:
    """Counts over one run."""

    injected: str
    fired: bool
    intents: int
    lost: int
    duplicated_once_only: int
    duplicated_mails: int
    beyond_recorded_unknowns: int
    unknown: int

    def __str__(self) -> str:
        return (
            f"{self.injected}: fired {'yes' if self.fired else 'NO'}, {self.intents} intents, lost {self.lost}, "
            f"duplicated SMS and posts {self.duplicated_once_only}, mails {self.duplicated_mails} "
            f"(beyond recorded unknowns {self.beyond_recorded_unknowns}), unknown {self.unknown}"
        )

    def check(self) -> None:
        """Prints the line and holds the invariants I1 and I2. A fault that never fired has shown nothing."""
        print(f"\n{self}")
        assert self.fired, f"the fault never fired: {self}"
        assert self.lost == 0, str(self)
        assert self.duplicated_once_only == 0, str(self)
        assert self.beyond_recorded_unknowns == 0, str(self)


def judge(system: System, found: Delivered, injected: str, *, fired: bool) -> Verdict:
    """Compares. Lost: an intent that the records call accepted and that nobody took, or one without an end.

    Posts carry no intent, and two incidents may rightly be told in the same words: they are compared by number.
    """
    mails, texts, posts = system.mails_by_intent(), system.texts_by_intent(), len(system.sandbox.posts)
    accepted = {intent for intent, result in found.results.items() if result is Result.ACCEPTED}
    accepted_posts = len(accepted - (mails + texts).keys())
    return Verdict(
        injected=injected,
        fired=fired,
        intents=len(found.intended),
        lost=len(found.open) + max(0, accepted_posts - posts),
        duplicated_once_only=sum(n - 1 for n in texts.values()) + max(0, posts - accepted_posts),
        duplicated_mails=sum(n - 1 for n in mails.values()),
        beyond_recorded_unknowns=sum(max(0, n - 1 - found.unknowns[intent]) for intent, n in mails.items()),
        unknown=found.unknowns.total(),
    )

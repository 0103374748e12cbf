"""What every fault's run ends in: the sandboxes' own truth held against the records, and one line that says so."""

from collections import Counter
from dataclasses import dataclass

from schemas.base import Channel
from schemas.delivery import Result
from tests.system import Delivered, System


@dataclass(frozen=True)
class Verdict:
    """Counts over one run. `fired`: how often the fault happened; `recovery_s`: from then until all was settled."""

    injected: str
    fired: int
    intents: int
    lost: int
    duplicated_once_only: int
    duplicated_mails: int
    beyond_recorded_unknowns: int
    unknown: int
    recovery_s: float | None

    def __str__(self) -> str:
        recovered = "" if self.recovery_s is None else f", recovered in {self.recovery_s:.1f} s"
        return (
            f"{self.injected}: fired {self.fired}, {self.intents} intents, lost {self.lost}, "
            f"duplicated SMS and posts {self.duplicated_once_only}, mails {self.duplicated_mails} "
            f"(beyond recorded unknowns {self.beyond_recorded_unknowns}), unknown {self.unknown}{recovered}"
        )

    def check(self) -> None:
        """Prints the line and holds the invariants."""
        print(f"\n{self}")
        self.hold()

    def hold(self) -> None:
        """Holds the invariants I1 and I2. A fault that never fired has shown nothing."""
        assert self.fired, f"the fault never fired: {self}"
        assert self.lost == 0, str(self)
        assert self.duplicated_once_only == 0, str(self)
        assert self.beyond_recorded_unknowns == 0, str(self)


def judge(
    system: System,
    found: Delivered,
    injected: str,
    *,
    fired: int,
    recovery_s: float | None = None,
    incident: str | None = None,
) -> Verdict:
    """Compares. Lost: an intent that the records call accepted and that nobody took, or one without an end.

    Posts carry no intent, and two incidents may rightly be told in the same words: they are compared by number, with
    those that were accepted, or of which nobody knew whether they were. `incident`: only of this one, whose title names
    it.
    """
    mails, texts, posts = system.mails_by_intent(), system.texts_by_intent(), system.sandbox.posts
    if incident is not None:
        found = found.of(incident)
        mails, texts = (Counter({i: n for i, n in took.items() if i in found.intended}) for took in (mails, texts))
        posts = [post for post in posts if incident in post.text]
    accepted = {intent for intent, result in found.results.items() if result is Result.ACCEPTED}
    accepted_posts = len({i for i in accepted if found.channels[i] is Channel.X})
    unsure = {i for i, n in found.unknowns.items() if n and i not in accepted and found.channels[i] is Channel.X}
    untaken = sum(
        (found.channels[i] is Channel.EMAIL and not mails[i]) or (found.channels[i] is Channel.SMS and not texts[i])
        for i in accepted
    )
    return Verdict(
        injected=injected,
        fired=int(fired),
        intents=len(found.intended),
        lost=len(found.open) + untaken + max(0, accepted_posts - len(posts)),
        duplicated_once_only=sum(n - 1 for n in texts.values()) + max(0, len(posts) - accepted_posts - len(unsure)),
        duplicated_mails=sum(n - 1 for n in mails.values()),
        beyond_recorded_unknowns=sum(max(0, n - 1 - found.unknowns[intent]) for intent, n in mails.items()),
        unknown=found.unknowns.total(),
        recovery_s=recovery_s,
    )

"""`audiences.yaml`: who hears of an incident, in how much detail, on which channels, and by whose approval."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field, model_validator

from pipeline.policy.words import (
    ChannelWord,
    Document,
    Kinds,
    LevelWord,
    Name,
    Path,
    SeverityWord,
    SomeTime,
    nearest,
    refuse,
)
from schemas.base import CHANNELS, Channel, Level, Line, Severity
from schemas.census import Group
from schemas.incident import Facts
from schemas.journal import NoticeKind

HowMany = Annotated[int, Field(ge=1)]


class Members(Document):
    """Who belongs to an audience without having chosen it: whoever has one of each kind that is named."""

    roles: tuple[Name, ...] = ()
    contracts: tuple[Name, ...] = ()
    regions: tuple[Line, ...] = ()
    components: tuple[Line, ...] = ()


class Consent(Document):
    """Whose approval a notice needs, of which kinds of notice, and of how bad an incident."""

    by: tuple[Name, ...] = Field(min_length=1)
    of: Kinds
    severities: tuple[SeverityWord, ...] = Field(default=(), alias="in incidents that are")
    """None named: in any."""
    safe_after: SomeTime | None = Field(default=None, alias="or the safe text goes out after")
    """Overrides the cadence's deadlines for notices that wait for it."""

    def needed_for(self, kind: NoticeKind, worst: Severity | None) -> bool:
        """Whether a notice of this kind needs it. While nobody has said how bad it is, it might be of the worst."""
        return kind in self.of and (not self.severities or worst is None or worst in self.severities)


class Audience(Document):
    """One group: what it may see, from which severity on it hears of incidents, and on which channels of what."""

    level: LevelWord
    members: Members = Members()
    from_severity: SeverityWord = Field(alias="hears from severity")
    channels: dict[ChannelWord, Kinds] = Field(min_length=1)
    consent: Consent | None = Field(default=None, alias="needs approval")
    told_at: Kinds | None = Field(default=None, alias="told at")
    """Overrides the cadence's choice for small and large incidents: an authority hears start and end only, say."""

    duties: dict[Line, SomeTime] = Field(default_factory=dict, alias="must be told within")
    """Stages by name, with how long after the beginning they are due at the latest, as authorities ask (NIS2)."""

    @model_validator(mode="after")
    def _posts_are_public(self) -> "Audience":
        if Channel.X in self.channels and self.level is not Level.PUBLIC:
            refuse([(("channels", "x"), f"posts are public, but the level is {self.level}; remove x, or say public")])
        return self

    def channels_for(self, kind: NoticeKind) -> tuple[Channel, ...]:
        """The channels that may carry a notice of this kind, in a fixed order."""
        return tuple([channel for channel in CHANNELS if kind in self.channels.get(channel, ())])

    def group(self, name: str) -> Group:
        """The audience as a notice names it."""
        return Group(audience=name, **self.members.model_dump())


class Never(Document):
    """Who must not hear of what: an audience, or whoever is selected, of the incidents that match."""

    audience: Name | None = None
    members: Members = Members()
    components: tuple[Line, ...] = ()
    regions: tuple[Line, ...] = ()
    severities: tuple[SeverityWord, ...] = ()
    because: Line

    @model_validator(mode="after")
    def _says_who(self) -> "Never":
        if self.audience is None and self.members == Members():
            raise ValueError("this says nobody; name an audience, or members")
        return self


class TwoPeople(Document):
    """When one approval is not enough."""

    severities: tuple[SeverityWord, ...] = ()
    above: HowMany | None = Field(default=None, alias="more recipients than")
    times_usual: Annotated[float, Field(gt=1, allow_inf_nan=False)] | None = Field(
        default=None, alias="times the usual number of recipients"
    )
    at_least: HowMany = Field(default=100, alias="but never below")
    audiences: tuple[Name, ...] = Field(default=(), alias="of notices to")
    """None named: to any."""
    by: tuple[Name, ...] = Field(min_length=1)


class Audiences(Document):
    """`audiences.yaml`."""

    audiences: dict[Name, Audience] = Field(min_length=1)
    never_tell: tuple[Never, ...] = Field(default=(), alias="never tell")
    private: tuple[Name, ...] = Field(default=(), alias="private incidents are told to")
    field_approvals: dict[str, Name] = Field(default_factory=dict, alias="told only with the approval of")
    two_people: TwoPeople | None = Field(default=None, alias="two people must approve")
    commanders: tuple[Name, ...] = Field(default=(), alias="may hold, correct and retract")
    releasers: tuple[Name, ...] = Field(default=(), alias="may release parked messages")
    """Who lets go what waits for a person, or gives it up. None named: every operator."""

    @model_validator(mode="after")
    def _hangs_together(self) -> "Audiences":
        refuse(self._unknown())
        return self

    def _unknown(self) -> Iterator[tuple[Path, str]]:
        for name in self.field_approvals:
            if name not in Facts.model_fields:
                path = ("told only with the approval of", name)
                yield path, f"an event has no such field; {nearest(name, Facts.model_fields)}"
        for place, name in enumerate(self.private):
            if name not in self.audiences:
                yield ("private incidents are told to", place), self.no_audience(name)
        for place, rule in enumerate(self.never_tell):
            if rule.audience is not None and rule.audience not in self.audiences:
                yield ("never tell", place, "audience"), self.no_audience(rule.audience)
        for place, name in enumerate(self.two_people.audiences if self.two_people else ()):
            if name not in self.audiences:
                yield ("two people must approve", "of notices to", place), self.no_audience(name)

    def no_audience(self, name: str) -> str:
        """What is wrong with `name`, which is no audience, and how to mend it."""
        return f"{name!r} is no audience; {nearest(name, self.audiences)}"

    def two_people_for(
        self, severity: Severity | None, expected: int, usual: int | None, audience: str | None = None
    ) -> str | None:
        """Why two people must approve a notice to so many of `audience`; None: they need not."""
        rule = self.two_people
        if rule is None or (audience is not None and rule.audiences and audience not in rule.audiences):
            return None
        if severity in rule.severities:
            return f"a {severity} incident is approved by two people"
        if rule.above is not None and expected > rule.above:
            return f"{expected} recipients are more than {rule.above}"
        if rule.times_usual and usual and expected >= rule.at_least and expected > rule.times_usual * usual:
            return f"{expected} recipients are far more than the usual {usual}"
        return None

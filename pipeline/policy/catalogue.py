"""`catalogue.yaml`: the components, what each means to customers in plain words, and who looks after it."""

from collections.abc import Iterator, Mapping
from functools import cached_property

from pydantic import Field, model_validator

from pipeline.policy.words import Document, LanguageWord, Name, Path, Zone, nearest, refuse
from schemas.base import Line, Text
from schemas.incident import Contact


class Component(Document):
    """One part of the service."""

    aliases: tuple[Line, ...] = Field(default=(), alias="also called")
    plain: dict[LanguageWord, Line] = Field(default_factory=dict, alias="in plain words")
    meaning: dict[LanguageWord, Text] = Field(default_factory=dict, alias="when it fails")
    owner: Line | None = None
    contact: Contact | None = Field(default=None, alias="on duty")
    regions: tuple[Line, ...] = ()


class Region(Document):
    """Where it is felt."""

    aliases: tuple[Line, ...] = Field(default=(), alias="also called")
    zone: Zone | None = Field(default=None, alias="time zone")


class Contract(Document):
    """A contract that asks for more: it is concerned by these parts, and someone must approve what is said then."""

    components: tuple[Line, ...] = ()
    regions: tuple[Line, ...] = ()
    approval: Name | None = Field(default=None, alias="needs approval of")


class Catalogue(Document):
    """`catalogue.yaml`."""

    components: dict[Line, Component] = Field(default_factory=dict)
    regions: dict[Line, Region] = Field(default_factory=dict)
    contracts: dict[Name, Contract] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _names_are_known_once(self) -> "Catalogue":
        refuse(
            [
                *_called_twice("components", self.components),
                *_called_twice("regions", self.regions),
                *_unlisted("components", self.components, "regions", self.regions),
                *_unlisted("contracts", self.contracts, "regions", self.regions),
                *_unlisted("contracts", self.contracts, "components", self.components),
            ]
        )
        return self

    @cached_property
    def _by_word(self) -> dict[str, str]:
        return {
            word.casefold(): name for name, component in self.components.items() for word in (name, *component.aliases)
        }

    @cached_property
    def _by_region(self) -> dict[str, str]:
        return {word.casefold(): name for name, region in self.regions.items() for word in (name, *region.aliases)}

    def component(self, word: str) -> str:
        """The name that the catalogue has for what upstream calls `word`; `word` itself where it has none."""
        return self._by_word.get(word.casefold(), word)

    def region(self, word: str) -> str:
        """Likewise of a region."""
        return self._by_region.get(word.casefold(), word)


def _called_twice(kind: str, listed: Mapping[str, Component | Region]) -> Iterator[tuple[Path, str]]:
    """Names and aliases that mean two things."""
    seen: dict[str, str] = {}
    for name, it in listed.items():
        for place, word in enumerate((name, *it.aliases)):
            if (other := seen.setdefault(word.casefold(), name)) != name:
                path: Path = (kind, name, "also called", place - 1) if place else (kind, name)
                yield path, f"{word!r} is what {other!r} is called already; keep one"


def _unlisted(
    part: str, naming: Mapping[str, Component | Contract], kind: str, listed: Mapping[str, Component | Region]
) -> Iterator[tuple[Path, str]]:
    """What is named as one of `kind` without being listed there by that very name: events are told under those."""
    meant = {word.casefold(): name for name, it in listed.items() for word in it.aliases}
    for name, it in naming.items():
        for place, word in enumerate(getattr(it, kind)):
            if word not in listed:
                fix = f"write {meant[word.casefold()]!r}" if word.casefold() in meant else nearest(word, listed)
                yield (
                    (part, name, kind, place),
                    f"{word!r} is not listed under {kind}; {fix if listed else 'add it there'}",
                )

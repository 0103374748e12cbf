"""Moments in a text: while a page is made each is a mark that no event can bring; in a rendering it is `{{t0}}`.

The marks are control characters, which the wire takes out of every text (`schemas.base`). So nothing that an event
says becomes a slot, however it is put together; what only looks like one is spaced out before the marks are replaced.
"""

import re
from collections.abc import Callable, Iterable
from datetime import datetime

from pipeline.decide.compose.moments import Style, Tongue, written
from schemas.rendering import Moments

UNSUBSCRIBE = "\x02u\x03"
"""Stands in a mail's page for the recipient's own link."""

_MARK = re.compile("\x02(\\d+)\x03")
_LOOKS_LIKE_A_SLOT = re.compile(r"\{\{(t\d+|unsubscribe)\}\}")
_BROKEN_MARKS = {2: None, 3: None}


class Slots:
    """The moments of one page, in the order in which the templates named them."""

    def __init__(self, speaks: Tongue, today: datetime, zones: tuple[str, ...]) -> None:
        self.speaks = speaks
        self._today = today
        self._zones = zones
        self._numbers: dict[tuple[datetime, Style], int] = {}
        self._moments: list[tuple[datetime, Style]] = []

    def mark(self, style: Style) -> Callable[[datetime], str]:
        """What a template calls to write a moment in this style."""

        def marked(moment: datetime) -> str:
            number = self._numbers.setdefault((moment, style), len(self._numbers))
            if number == len(self._moments):
                self._moments.append((moment, style))
            return f"\x02{number}\x03"

        return marked

    def words(self, number: int, plain: bool, zones: Iterable[str] | None = None) -> tuple[str, ...]:
        """How this moment is written, zone by zone."""
        moment, style = self._moments[number]
        return tuple(
            written(self.speaks, moment, style, zone, self._today, plain)
            for zone in (self._zones if zones is None else zones)
        )

    def filled(self, text: str, word: Callable[[int], str]) -> str:
        """`text` with each mark replaced."""
        return _MARK.sub(lambda found: word(int(found[1])), text) if "\x02" in text else text

    def settled(
        self, *texts: str, plain: bool = False, zones: tuple[str, ...] | None = None
    ) -> tuple[tuple[str, ...], Moments]:
        """The texts of one rendering, its slots numbered as they come, and the words for each zone."""
        used: dict[int, int] = {}

        def slot(number: int) -> str:
            return f"{{{{t{used.setdefault(number, len(used))}}}}}"

        done = tuple(
            self.filled(text, slot).replace(UNSUBSCRIBE, "{{unsubscribe}}").translate(_BROKEN_MARKS)
            for text in map(spaced_out, texts)
        )
        rows = self._zones if zones is None else zones
        columns = [self.words(number, plain, rows) for number in used]
        return done, dict(zip(rows, zip(*columns, strict=True), strict=True)) if columns else {}


def spaced_out(text: str) -> str:
    """`text` with whatever looks like a slot made something that does not: it stays literal to a reader."""
    return _LOOKS_LIKE_A_SLOT.sub(r"{{ \1 }}", text) if "{{" in text else text

"""Text messages: which alphabet a text needs, how many segments it takes, and how to spare some.

GSM-7 is the default alphabet of 3GPP TS 23.038; what stands in its extension table takes two septets. One character
outside of it makes the whole message UCS-2, with less than half the room. The counts agree with Twilio's calculator.
"""

import unicodedata
from dataclasses import dataclass
from typing import Final, Literal

import emoji

Encoding = Literal["GSM-7", "UCS-2"]

MAX_CHARACTERS: Final = 1600
"""Twilio refuses a longer body (error 21617)."""

_BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED: Final = frozenset("|^€{}[]~\\\f")
_GSM7: Final = _BASIC | _EXTENDED

# Units (septets, or 16 bits each) in a lone segment, and in one of several, where a header takes six octets.
_ROOM: Final[dict[Encoding, tuple[int, int]]] = {"GSM-7": (160, 153), "UCS-2": (70, 67)}

# Only what reads the same: an accent is never dropped, for it can be another word.
_PLAIN: Final = str.maketrans(
    {
        **dict.fromkeys("“”„‟«»″〝〞＂", '"'),
        **dict.fromkeys("‘’‚‛′ʼ`´＇", "'"),
        **dict.fromkeys("‐‑‒–—―−⁃﹣－", "-"),
        **dict.fromkeys("\t\u00a0\u1680\u202f\u205f\u3000", " "),
        **dict.fromkeys(map(chr, range(0x2000, 0x200B)), " "),  # en quad to hair space
        **dict.fromkeys("\u00ad\u200b\u2060\ufeff", ""),
        **dict.fromkeys("\u2028\u2029", "\n"),
        **dict.fromkeys("•‣◦·∙●▪", "-"),
        "…": "...",
        "‹": "<",
        "›": ">",
        "×": "x",
        "→": "->",
        "⇒": "=>",
        "←": "<-",
        "≤": "<=",
        "≥": ">=",
        "≠": "!=",
        "⁄": "/",
        "∕": "/",
        "ﬁ": "fi",
        "ﬂ": "fl",
    }
)  # fmt: skip


@dataclass(frozen=True)
class SmsMeasure:
    """What a text costs. `units` are septets or 16-bit units; `characters` is what a reader sees."""

    encoding: Encoding
    segments: int
    characters: int
    units: int


def measure(text: str) -> SmsMeasure:
    """How `text` goes out, and in how many segments; an empty one takes one."""
    encoding: Encoding = "GSM-7" if is_gsm7(text) else "UCS-2"
    widths = _widths(text, encoding)
    units = len(text) if widths is None else sum(widths)
    return SmsMeasure(encoding, _segments(widths, units, encoding), _visible(text), units)


def segments(text: str) -> int:
    """In how many segments `text` goes out: `measure` without what only a reader counts, for trying many texts."""
    encoding: Encoding = "GSM-7" if is_gsm7(text) else "UCS-2"
    widths = _widths(text, encoding)
    return _segments(widths, len(text) if widths is None else sum(widths), encoding)


def is_gsm7(text: str) -> bool:
    """Whether every character is in the GSM-7 alphabet or its extension table."""
    return _GSM7.issuperset(text)


def to_gsm7(text: str) -> str:
    """`text` with typographic characters written plainly, where that makes it GSM-7 and takes no more segments.

    Otherwise it stays as it is (in NFC): plain quotes beside a Cyrillic word would spare nothing.
    """
    composed = unicodedata.normalize("NFC", text)
    if is_gsm7(composed):
        return composed
    plain = plainly(composed)
    if is_gsm7(plain) and segments(plain) <= segments(composed):
        return plain
    return composed


def plainly(text: str) -> str:
    """`text` with typographic characters written plainly, whether that spares anything or not."""
    return text.translate(_PLAIN)


def _widths(text: str, encoding: Encoding) -> list[int] | None:
    """The units that each character takes; None: one each, which spares the counting for nearly every text."""
    narrow = _EXTENDED.isdisjoint(text) if encoding == "GSM-7" else max(text, default="") <= "\uffff"
    return None if narrow else [_width(character, encoding) for character in text]


def _width(character: str, encoding: Encoding) -> int:
    if encoding == "GSM-7":
        return 2 if character in _EXTENDED else 1
    return 2 if ord(character) > 0xFFFF else 1


def _segments(widths: list[int] | None, units: int, encoding: Encoding) -> int:
    alone, each = _ROOM[encoding]
    if units <= alone:
        return 1
    if widths is None:
        return -(-units // each)
    segments, used = 1, 0
    for width in widths:
        # Neither an escape pair nor a surrogate pair is split between two segments.
        if used + width > each:
            segments, used = segments + 1, 0
        used += width
    return segments


def _visible(text: str) -> int:
    """Code points, where an emoji sequence, and a letter with its combining marks, is one."""
    if text.isascii():
        return len(text)
    sequences = emoji.emoji_list(text)
    joined = sum(found["match_end"] - found["match_start"] - 1 for found in sequences)
    marks = sum(1 for character in text if unicodedata.combining(character))
    return len(text) - joined - marks

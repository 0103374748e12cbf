"""Posts on X: the weighted length of twitter-text v3 (github.com/twitter/twitter-text, config/v3.json).

A post may weigh 280. Latin and general punctuation weigh 1 a character, everything else 2, an emoji sequence 2, a URL
23 however long it is; counted in NFC. X knows every top-level domain there is; this module knows the common ones, and
gives a domain of another kind the larger of both possible weights: never too little.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import emoji


@dataclass(frozen=True)
class Rules:
    """One version of the counting rules; weights per code point, `light` the ranges that weigh 1."""

    limit: int = 280
    default_weight: int = 2
    light: tuple[tuple[int, int], ...] = ((0x0000, 0x10FF), (0x2000, 0x200D), (0x2010, 0x201F), (0x2032, 0x2037))
    emoji_sequences: bool = True
    url_weight: int = 23


V3: Final = Rules()
LIMIT: Final = V3.limit

_COUNTRIES: Final = (
    "ac ad ae af ag ai al am ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bm bn bo br bs bt bv bw by bz ca cc "
    "cd cf cg ch ci ck cl cm cn co cr cu cv cw cx cy cz de dj dk dm do dz ec ee eg er es et eu fi fj fk fm fo fr ga gb "
    "gd ge gf gg gh gi gl gm gn gp gq gr gs gt gu gw gy hk hm hn hr ht hu id ie il im in io iq ir is it je jm jo jp ke "
    "kg kh ki km kn kp kr kw ky kz la lb lc li lk lr ls lt lu lv ly ma mc md me mg mh mk ml mm mn mo mp mq mr ms mt mu "
    "mv mw mx my mz na nc ne nf ng ni nl no np nr nu nz om pa pe pf pg ph pk pl pm pn pr ps pt pw py qa re ro rs ru rw "
    "sa sb sc sd se sg sh si sj sk sl sm sn so sr ss st su sv sx sy sz tc td tf tg th tj tk tl tm tn to tr tt tv tw tz "
    "ua ug uk us uy uz va vc ve vg vi vn vu wf ws ye yt za zm zw"
)
_GENERIC: Final = (
    "com org net edu gov mil int info biz name pro mobi app dev cloud online site tech store shop blog page status "
    "support systems services network host hosting agency digital software solutions company email news live world "
    "today life global group team tools wiki xyz link click media studio design online berlin london paris"
)
_TOP_LEVEL: Final = frozenset(f"{_COUNTRIES} {_GENERIC}".split())

_PATH = r"[\w!*';:=+,.$/%#\[\]\-~@|&]"
_URL: Final = re.compile(
    # A protocol allows any letters in the host; without one only Latin ones, and not straight after a mark.
    r"(?:(?<![A-Za-z0-9@＠$#＃])https?://(?P<host>[\w-]++(?:\.[\w-]++)++)"
    r"|(?<![A-Za-z0-9@＠$#＃_./-])(?P<bare>[a-z0-9\u00c0-\u024f-]++(?:\.[a-z0-9\u00c0-\u024f-]++)++))"
    rf"(?P<rest>(?::\d+)?(?:/(?:{_PATH}*(?:\({_PATH}+\){_PATH}*)*(?:[\w+\-=#/]|\({_PATH}+\)))?)?"
    r"(?:\?[\w!?*'@().;:&=+$/%#\[\]\-,~|]*[\w\-&=#/])?)",
    re.IGNORECASE,
)
_DOTTED: Final = re.compile(r"[\w-]\.[\w-]")
"""Every link holds this; looking for it first spares nearly every text the search for links."""
_MAX_LABEL = 63
_REFUSED: Final = frozenset("\ufffe\ufeff\uffff")


def weighted_length(text: str, rules: Rules = V3) -> int:
    """What `text` weighs; X counts 280 at most."""
    text = unicodedata.normalize("NFC", text)
    weight, start = 0, 0
    for link_start, link_end in _links(text, rules):
        weight += _plain_weight(text[start:link_start], rules) + rules.url_weight
        start = link_end
    return weight + _plain_weight(text[start:], rules)


def is_valid(text: str, rules: Rules = V3) -> bool:
    """Whether X takes it: not blank, not too long, none of the code points it refuses."""
    return bool(text.strip()) and not _REFUSED & set(text) and weighted_length(text, rules) <= rules.limit


def _links(text: str, rules: Rules) -> Iterator[tuple[int, int]]:
    """Start and end of each thing that weighs as a URL."""
    if not _DOTTED.search(text):
        return
    for found in _URL.finditer(text):
        group = "host" if found["host"] else "bare"
        labels = found[group].split(".")
        if not all(_is_label(label) for label in labels):
            continue
        known = max((n for n in range(2, len(labels) + 1) if labels[n - 1].lower() in _TOP_LEVEL), default=0)
        if known == len(labels):
            yield found.start(), found.end()
        elif known:
            yield found.start(), found.start(group) + len(".".join(labels[:known]))
        elif _could_be_top_level(labels[-1]) and _plain_weight(found[0], rules) < rules.url_weight:
            yield found.start(), found.end()


def _is_label(label: str) -> bool:
    """RFC 1035: at most 63 octets, counted in Punycode; no hyphen at either end."""
    octets = len(label) if label.isascii() else len(label.encode("punycode")) + len("xn--")
    return octets <= _MAX_LABEL and not label.startswith("-") and not label.endswith("-")


def _could_be_top_level(label: str) -> bool:
    return len(label) > 1 and label.isalpha()


def _plain_weight(text: str, rules: Rules) -> int:
    weight, start = 0, 0
    sequences = emoji.emoji_list(text) if rules.emoji_sequences and not text.isascii() else []
    for found in sequences:
        weight += _points_weight(text[start : found["match_start"]], rules) + rules.default_weight
        start = found["match_end"]
    return weight + _points_weight(text[start:], rules)


def _points_weight(text: str, rules: Rules) -> int:
    if text.isascii() and rules.light:
        return len(text)
    return sum(
        1 if any(first <= ord(character) <= last for first, last in rules.light) else rules.default_weight
        for character in text
    )

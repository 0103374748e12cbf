"""SVG by hand: elements as escaped strings, nothing but presentation attributes and classes.

No `style` attribute is ever written: the page's Content-Security-Policy allows its one style sheet and nothing else.
"""

from collections.abc import Iterable

from markupsafe import Markup

Value = str | float | int | None


def element(name: str, content: str | Markup = "", /, **attributes: Value) -> Markup:
    """One element; text content is escaped, `class_` becomes class, `stroke_width` becomes stroke-width."""
    given = Markup("").join(
        Markup(' {}="{}"').format(_name(key), number(value) if isinstance(value, float) else value)
        for key, value in attributes.items()
        if value is not None
    )
    if not content:
        return Markup("<{}{}/>").format(name, given)
    return Markup("<{0}{1}>{2}</{0}>").format(name, given, content)


def group(parts: Iterable[Markup]) -> Markup:
    """Elements one after the other."""
    return Markup("").join(parts)


def number(value: float) -> str:
    """A coordinate to a tenth, without what nobody sees."""
    return f"{value:.1f}".removesuffix(".0")


def _name(key: str) -> str:
    return key.removesuffix("_").replace("_", "-")

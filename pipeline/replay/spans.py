"""Lengths of time, numbers of things and shares, as people read them."""


def span(seconds: float | None) -> str:
    """A length of time in at most six characters: "45 s", "12 min", "2h 05", "3d 04h"."""
    if seconds is None:
        return "-"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 24 * 60:
        return f"{minutes // 60}h {minutes % 60:02}"
    return f"{minutes // 1440}d {minutes % 1440 // 60:02}h"


def counted(number: int, one: str, many: str | None = None) -> str:
    """A number with its noun: 1 dead letter, 2 dead letters."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def percent(share: float | None) -> str:
    """A share between 0 and 1; what is not all is never called 100%, what is not nothing never 0%."""
    if share is None:
        return "-"
    return f"{share * 100:.0f}%" if share in (0.0, 1.0) else f"{min(max(share * 100, 0.1), 99.9):.1f}%"

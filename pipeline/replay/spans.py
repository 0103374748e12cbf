"""Lengths of time as people read them."""


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

"""Office hours, quiet hours and the clock on the wall, in any zone. Pure: aware moments come in, UTC goes out."""

"""The broker: how to reach it, what must stand in it, and the two kinds that Tocsin starts by itself."""

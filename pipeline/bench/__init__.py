"""Figures, measured beside other people's tools on the same machine in the same run.

A figure is a module here that has `measure(runs: int) -> Iterator[Measured]`; a line in `figures.FIGURES` makes
`tocsin bench` know it. What others are measured with is started by the module on loopback and ended by it.
"""

"""A virtual day: ten recorded incidents, told to as many people as are asked for by the whole of Tocsin.

`python -m pipeline.bench.day FILE… --subscribers 1000`: mail goes to Postfix's smtp-sink, SMS and posts to the doubles.
`build/day.json` says what became of every intent, by the records and by what was really taken, and how much memory
each process had meanwhile; `build/day.svg` is the picture of it. Nobody waits for the clock of the day: the next event
is published when everybody has been told of the one before, so that no notice overtakes another and all are sent.
"""

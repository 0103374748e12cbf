"""Every incident of a file told to ten thousand people, each by their own choices; then the log of it, replayed twice.

`python -m pipeline.bench.whole record FILE… --subscribers 10000`: the whole of Tocsin records, mail goes to Postfix's
smtp-sink, SMS and posts to the doubles. Each incident keeps its own clock, so that reminders, promises and ends that
must hold come as they would; each room is killed once (SIGKILL) in the middle of it. What is left is an archive, and
`build/whole/recorded.json`, which says what became of everybody.

`python -m pipeline.bench.whole replay`: from the archive alone, each time in a process of its own, the log is verified,
everything is decided again, twice, and the tables are made anew, twice. `build/whole/replayed.json` says at what rates,
and whether both times came to the same bytes. `tocsin replay --check --archive build/whole/archive` says it anytime.
"""

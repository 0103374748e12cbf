"""The figures of honesty: how soon people were told, how long left alone, which promises were kept, whom it reached.

They are read from the projection: it holds each incident's story, made by the very functions of the back-test from the
sealed journal, and the deliveries counted, which no journal knows; so the figures are those of an export as well, and
asking for them reads some hundred rows where the log has millions of entries.
"""

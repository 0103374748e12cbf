"""The archive: the log and what belongs to it, in a folder or an object store, whatever becomes of the broker."""

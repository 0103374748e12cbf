"""Back-tests: what is run again, how it is measured, what differs, how it is shown."""

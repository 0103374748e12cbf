"""What Kafka may forget of the journal and of the delivery records, once the archive has it and nobody needs it."""

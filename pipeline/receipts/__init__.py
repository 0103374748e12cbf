"""What mail servers and mailbox providers send back: read, reduced to ids, and handed to those who must know."""

"""What fits where: text messages, posts, and where a long text may be cut. Pure; knows no network."""

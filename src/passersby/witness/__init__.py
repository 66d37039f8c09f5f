"""A witness: it signs checkpoints of other people's logs, if they continue what it signed before."""

"""The transparency log: an append-only Merkle tree of all that a deployment did, readable by anyone."""

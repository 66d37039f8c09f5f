"""The control database: what is recorded, promised and spent. Never a ping."""

"""What is derived from pings before any question: presence."""

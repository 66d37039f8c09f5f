"""Frozen values that every layer shares. Nothing here reads or writes anything."""

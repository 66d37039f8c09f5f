"""Suppliers: their contracts, their assessments, and whether data of theirs may be taken now."""

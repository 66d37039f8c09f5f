"""A generated country whose devices move and whose suppliers deliver files: data for demo and tests."""

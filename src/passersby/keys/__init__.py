"""Keys: one envelope for all of them, pseudonym keys by epoch, and the pseudonyms they make."""

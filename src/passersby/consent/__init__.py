"""Suppliers' consent registers, held under keyed hashes of the advertising ids."""

"""Suppliers' files: opened by content, mapped by a declared schema, parsed and checked row by row."""

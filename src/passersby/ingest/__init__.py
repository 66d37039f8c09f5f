"""Takes suppliers' files into the lake, whole or not at all."""

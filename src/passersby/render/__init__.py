"""Turns released rows into files and pictures. It sees noisy numbers only."""

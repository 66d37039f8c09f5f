"""Places where pings are never stored, used or disclosed: lists, their cells and the exact test."""

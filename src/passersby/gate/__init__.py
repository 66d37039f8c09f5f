"""The only way that numbers leave: decide, reserve, run, noise, post-process, settle, record."""

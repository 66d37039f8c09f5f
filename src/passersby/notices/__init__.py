"""Notices to the holders of devices: queued where something was done that they must learn of."""

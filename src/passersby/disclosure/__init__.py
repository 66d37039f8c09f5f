"""Court orders: the only way from the system to a device's pings, besides that device's own holder."""

"""The rights of devices' holders: see, withdraw, erase."""

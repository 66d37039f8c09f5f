"""What do published counts give away about the people who were counted? Rates, never a cell or a device."""

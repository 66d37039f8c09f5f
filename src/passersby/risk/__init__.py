"""How identifiable are the people in a location file? Rates and curves, never a device."""

"""The catalogue of measures: one file each, with its definition, source, unit and SQL."""

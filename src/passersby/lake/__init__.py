"""The lake: immutable Parquet files and the manifest that alone makes them visible."""

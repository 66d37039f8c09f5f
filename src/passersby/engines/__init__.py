"""SQL engines: DuckDB in the process, Spark on a cluster, one portable subset of SQL for both."""

"""Reports: from the log alone where the log tells it, so that an outsider can make them again."""

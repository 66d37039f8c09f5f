"""The command line: one file per group of commands, words and tables only, no logic."""

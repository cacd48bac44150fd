"""What becomes of each key of a compose file's service in a stack; one file for each group of keys."""

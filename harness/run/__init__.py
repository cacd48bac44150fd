"""One run from beginning to end: its directory, lock, lease and reaper; up, down and the report."""

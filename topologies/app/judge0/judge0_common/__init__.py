"""What judge0-server and judge0-worker share: `connect` to both databases, `formats` of what is shown."""

"""The engine in a process of its own, so that nothing that watches it holds it up."""

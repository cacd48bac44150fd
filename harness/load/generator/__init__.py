"""The engine in a separate process, so that monitoring does not slow it down."""

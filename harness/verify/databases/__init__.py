"""What checks of managed databases are written with."""

"""What everything else is built on: errors, waits, signals, processes, names. It imports nothing else."""

"""What takes part in the speed benchmark: one worker process each, driven over a pipe."""

"""A corpus made of sources: every step a file with a key and a checksum, every decision told."""

"""Raw files to documents: reading, quarantine, repeats and the held-out part."""

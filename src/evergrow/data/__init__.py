"""Made data: what stages read and measure, prepared once."""

"""What runs inside the sandbox, on the standard library alone: it is sent there as text."""

"""Untrusted Python, shut in: programs are carried out apart from the tests that judge them."""

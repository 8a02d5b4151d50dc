"""Tokens and images to batches: tokenizer, shards, mixtures, replay and a resumable order."""

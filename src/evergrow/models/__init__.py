"""Hugging Face language models: made small from a preset, loaded, described, sampled, saved."""

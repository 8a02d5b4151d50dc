"""Hugging Face causal models: made small from a preset, loaded, described, sampled, saved."""

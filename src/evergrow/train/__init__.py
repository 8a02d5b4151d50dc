"""The training loop, its objectives and its optimiser: plain PyTorch, one straight function."""

"""One stage carried out: trunk, branch, release, growth, and what became of it."""

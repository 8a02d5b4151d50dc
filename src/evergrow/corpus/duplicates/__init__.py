"""Text that is in a corpus already: whole documents, nearly the same ones, lines and paragraphs."""

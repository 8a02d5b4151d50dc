"""``python -m evergrow`` is the command ``evergrow``."""

from evergrow.cli import main

main()

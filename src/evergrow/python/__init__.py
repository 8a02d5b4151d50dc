"""The verbs in Python: strings or paths in, what the command line shows back as results."""

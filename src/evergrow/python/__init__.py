"""The verbs in Python: strings or paths in, what the command line shows back as results."""

import warnings

# transformers imports tqdm, which asks a notebook for ipywidgets; the bar here needs none.
warnings.filterwarnings("ignore", message="IProgress not found")

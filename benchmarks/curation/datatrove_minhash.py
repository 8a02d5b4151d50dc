"""datatrove's MinHash signatures; runs in datatrove's own environment.

    python datatrove_minhash.py TEXTS.json FOLDER

Prints the CPU seconds of one pass over the texts, its files written as it always writes them. The
tokenizer is loaded before.
"""

import json
import logging
import sys
import time
from pathlib import Path

from datatrove.data import Document
from datatrove.pipeline.dedup import MinhashDedupSignature
from datatrove.utils.logging import logger


def main() -> None:
    texts = json.loads(Path(sys.argv[1]).read_text())
    logger.remove()
    logging.disable(logging.INFO)
    step = MinhashDedupSignature(output_folder=sys.argv[2])  # 112 permutations, 14 x 8, 5 words
    step.get_shingles("Load the rules of the tokenizer.")
    documents = [Document(text=text, id=str(i)) for i, text in enumerate(texts)]
    begun = time.process_time()
    step.run(iter(documents), rank=0, world_size=1)
    print(time.process_time() - begun)


if __name__ == "__main__":
    main()

"""All that a recipe's stages read and measure, prepared once: each form in its own way."""

from collections.abc import Mapping, Sequence

from evergrow.corpus.config import ChatSourceConfig, HeldOutConfig
from evergrow.corpus.curate.corpus import Corpus
from evergrow.data.examples import prepare_examples
from evergrow.data.prepared import Asked, Prepared
from evergrow.data.tokens import prepare_tokens
from evergrow.images.config import ImageSourceConfig
from evergrow.recipe import AnySource
from evergrow.stream.config import TokenizerConfig
from evergrow.stream.examples import ExampleSource


def prepare(
    asked: Asked,
    sources: Mapping[str, AnySource],
    corpora: Mapping[str, Corpus],
    held_out: HeldOutConfig,
    tokenizer: TokenizerConfig,
    tokenizer_sources: Sequence[str],
    with_mask: bool,
) -> Prepared:
    """Corpora and other sources as data folders, and the tokenizer where there is text."""
    pictures = {n: s for n, s in sources.items() if isinstance(s, ImageSourceConfig)}
    if pictures:
        return _pictures(asked, pictures, held_out)
    chats = {n: s for n, s in sources.items() if isinstance(s, ChatSourceConfig)}
    made = prepare_tokens(asked, corpora, held_out, tokenizer, tokenizer_sources, with_mask)
    assert made.tokenizer is not None
    examples = prepare_examples(asked, chats, held_out, made.tokenizer)
    manifests = {name: ExampleSource.open(path).manifest for name, path in examples.items()}
    return Prepared(made.tokenizer, {**made.data, **examples}, {**made.manifests, **manifests})


def _pictures(
    asked: Asked, sources: Mapping[str, ImageSourceConfig], held_out: HeldOutConfig
) -> Prepared:
    from evergrow.data.pictures import prepare_pictures  # its packages are an extra

    return prepare_pictures(asked, sources, held_out)

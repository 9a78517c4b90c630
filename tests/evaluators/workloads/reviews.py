"""Writes what looks like the movie reviews and the encoder: short texts, and a two-layer BERT of 32 channels."""

import random

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

WORDS = ("a", "film", "that", "is", "so", "very", "plot", "acting", "and", "the")
VOCABULARY = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "good", "bad", *WORDS)


def write_movie_reviews(directory, count):
    """No two texts alike, good and bad by turns, 4 to 60 words."""
    generator = random.Random(0)
    lines = []
    for index in range(count):
        words = generator.choices(WORDS, k=generator.randint(3, 59))
        words.insert(generator.randrange(3), "good" if index % 2 == 0 else "bad")
        rating = generator.uniform(0.5, 4) * (1 if index % 2 == 0 else -1)
        lines.append(f"{index}\t{rating}\t{' '.join(words)} {index}")
    text = "\r\n".join(lines)
    (directory / "movieReviewSnippets_GroundTruth.txt").write_text(text, encoding="utf-8", newline="")


def write_encoder(directory):
    """With random weights of a fixed seed; seed before calling."""
    config = BertConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(directory)
    tokenizer = Tokenizer(models.WordPiece({word: i for i, word in enumerate(VOCABULARY)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
    ).save_pretrained(directory)

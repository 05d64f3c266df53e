"""Makes tokenizer/spiece.model of captions: `python tokenizer.py captions.txt ../tokenizer/spiece.model`.

SentencePiece's own trainer (Kudo 2018) does it; it is in the reference environment (test/reference/requirements.txt). It learns
some hundred pieces, and 256 single bytes, so that any prompt can be written in them.
"""

import io
import string
import sys
import tempfile
import unicodedata
from pathlib import Path

import sentencepiece

kana = "".join(chr(point) for first, last in ((0x3041, 0x3094), (0x30A1, 0x30FC)) for point in range(first, last + 1))
required = kana + string.ascii_lowercase + string.digits + "、。！？「」…"


def without_punctuation(line: str) -> str:
    """As SigLIP's tokenizer makes a text ready; the bars between words stay."""
    return line.lower().translate(str.maketrans("", "", string.punctuation.replace("|", "")))


def spellings() -> list[tuple[str, str]]:
    """Full-width letters and digits, half-width kana, and kana whose voicing mark stands apart, as they are usually written."""
    wide = [chr(point) for point in (*range(0xFF10, 0xFF1A), *range(0xFF21, 0xFF3B), *range(0xFF41, 0xFF5B), 0x3000)]
    half = [chr(point) for point in range(0xFF61, 0xFFA0)]
    marks = {"\uff9e": "\u3099", "\uff9f": "\u309a"}
    pairs = {c: unicodedata.normalize("NFKC", c) for c in wide + half if c not in marks}
    for character in [*kana, *half]:
        for mark, combining in marks.items():
            whole = unicodedata.normalize("NFKC", character + combining)
            if len(whole) == 1:
                pairs[character + (mark if character in half else combining)] = whole
    return sorted(pairs.items())


def rules(path: Path) -> None:
    points = lambda text: " ".join(f"{ord(c):X}" for c in text)
    path.write_text("".join(f"{points(given)}\t{points(usual)}\n" for given, usual in spellings()))


def train(lines: list[str], vocab_size: int) -> bytes:
    model = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder:
        tsv = Path(folder) / "spellings.tsv"
        rules(tsv)
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines), model_writer=model, model_type="bpe", vocab_size=vocab_size,
            hard_vocab_limit=False, character_coverage=1.0, byte_fallback=True, required_chars=required,
            pretokenization_delimiter="|", normalization_rule_tsv=str(tsv), num_threads=1, minloglevel=2,
            pad_id=0, eos_id=1, unk_id=2, bos_id=-1,  # as SigLIP and T5 have them
        )
    return model.getvalue()


captions, destination = map(Path, sys.argv[1:])
lines = ["|".join(required), *(without_punctuation(line) for line in captions.read_text(encoding="utf-8").splitlines())]
destination.write_bytes(train(lines, vocab_size=840))

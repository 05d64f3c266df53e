"""Small SentencePiece vocabularies in folders as transformers saves them, and what its slow tokenizers make of strings."""

import io
import json
import unicodedata
from pathlib import Path

import sentencepiece
from common import save_json
from tokenizers_corpus import required, sentences, strings
from transformers import AddedToken, SiglipTokenizer, T5Tokenizer

eos_at_1 = dict(pad_id=0, eos_id=1, unk_id=2, bos_id=-1)  # as google's SigLIP and T5 have it
rinna = dict(unk_id=0, bos_id=1, eos_id=2, pad_id=3, pad_piece="[PAD]", control_symbols=["[CLS]", "[SEP]", "[MASK]"])


def train(path: Path, vocab_size: int, **options) -> Path:
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences()), model_writer=model, vocab_size=vocab_size, character_coverage=1.0,
        num_threads=1, required_chars=required, minloglevel=2, **options,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.getvalue())
    return path


def make_folders(out: Path) -> dict:
    """Folder name → the slow tokenizer, loaded from it."""
    mitsua = dict(user_defined_symbols=["絵藍ミツア"])

    vocabulary = train(out / "siglip" / "spiece.model", 1000, normalization_rule_name="nmt_nfkc", **eos_at_1, **mitsua)
    SiglipTokenizer(str(vocabulary), clean_up_tokenization_spaces=True).save_pretrained(out / "siglip")

    vocabulary = train(out / "siglip-bytes" / "spiece.model", 1000, normalization_rule_name="identity", byte_fallback=True, **eos_at_1, **mitsua)
    SiglipTokenizer(str(vocabulary), do_lower_case=False, clean_up_tokenization_spaces=False).save_pretrained(out / "siglip-bytes")

    vocabulary = train(out / "siglip-spaces" / "spiece.model", 800, normalization_rule_name="identity", remove_extra_whitespaces=False, split_by_whitespace=False, **eos_at_1)
    SiglipTokenizer(
        str(vocabulary), model_max_length=20, pad_token="<pad>", additional_special_tokens=["<lora>", AddedToken("[MASK]", rstrip=True)],
        clean_up_tokenization_spaces=False,
    ).save_pretrained(out / "siglip-spaces")

    # The files as they were before transformers 4.34: no added_tokens_decoder.
    train(out / "t5-rinna" / "spiece.model", 1000, normalization_rule_name="nmt_nfkc_cf", byte_fallback=True, **rinna)
    tokens = dict(bos_token="<s>", eos_token="</s>", unk_token="<unk>", sep_token="[SEP]", pad_token="[PAD]", cls_token="[CLS]", mask_token="[MASK]")
    save_json(out / "t5-rinna" / "tokenizer_config.json", dict(tokens, extra_ids=0, additional_special_tokens=[], do_lower_case=True, model_max_length=77, tokenizer_class="T5Tokenizer", sp_model_kwargs={}, name_or_path="japanese"))
    save_json(out / "t5-rinna" / "special_tokens_map.json", tokens)

    vocabulary = train(out / "t5" / "spiece.model", 900, normalization_rule_name="identity", byte_fallback=True, **eos_at_1, **mitsua)
    tokenizer = T5Tokenizer(str(vocabulary), model_max_length=64, legacy=True, clean_up_tokenization_spaces=False)
    tokenizer.add_tokens(["<lora>", AddedToken("<style>", lstrip=True), AddedToken("[New1]", rstrip=True, normalized=False), AddedToken("word", single_word=True)])
    tokenizer.save_pretrained(out / "t5")

    vocabulary = train(out / "t5-new" / "spiece.model", 900, model_type="bpe", normalization_rule_name="identity", **eos_at_1, **mitsua)
    tokenizer = T5Tokenizer(str(vocabulary), model_max_length=64, legacy=False, extra_ids=12, do_lower_case=True, clean_up_tokenization_spaces=False)
    tokenizer.add_tokens(["<LoRA>", AddedToken("<style>", lstrip=True, rstrip=True), AddedToken("[New1]", normalized=False), AddedToken("WORD", single_word=True)])
    tokenizer.save_pretrained(out / "t5-new")

    (out / "t5-old").mkdir()
    (out / "t5-old" / "spiece.model").write_bytes((out / "t5" / "spiece.model").read_bytes())
    save_json(out / "t5-old" / "tokenizer_config.json", dict(model_max_length=32, legacy=False, add_prefix_space=False, additional_special_tokens=["<keep>"], extra_ids=4, tokenizer_class="T5TokenizerFast"))
    save_json(out / "t5-old" / "special_tokens_map.json", dict(
        eos_token="</s>", unk_token=dict(content="<unk>", lstrip=False, rstrip=True, single_word=False, normalized=False), pad_token="<pad>", additional_special_tokens=["<keep>", dict(content="[MASK]", lstrip=True, rstrip=False, single_word=False, normalized=True)],
    ))
    save_json(out / "t5-old" / "added_tokens.json", {"<lora>": 905, "<style>": 906, "<keep>": 907, "<new>猫": 911})
    flags = dict(single_word=False, lstrip=False, rstrip=False, normalized=False, special=True)
    save_json(out / "t5-old" / "tokenizer.json", dict(version="1.0", added_tokens=[
        dict(flags, id=1, content="</s>", rstrip=True), dict(flags, id=0, content="<pad>", lstrip=True), dict(flags, id=910, content="<new>", special=False, normalized=True),
    ]))

    # Nothing but what has no default: the sentinels get their ids from the class.
    (out / "t5-bare").mkdir()
    (out / "t5-bare" / "spiece.model").write_bytes((out / "t5" / "spiece.model").read_bytes())
    save_json(out / "t5-bare" / "tokenizer_config.json", dict(model_max_length=40, extra_ids=5, do_lower_case=True, tokenizer_class="T5Tokenizer"))
    save_json(out / "t5-bare" / "added_tokens.json", {"<LoRA>": 950, "WORD": 951})

    tokenizers = {}
    for folder in sorted(path for path in out.iterdir() if path.is_dir()):
        kind = SiglipTokenizer if folder.name.startswith("siglip") else T5Tokenizer
        tokenizers[folder.name] = kind.from_pretrained(folder)
    # T5Tokenizer does not read do_lower_case; rinna's code sets it after loading, and so do those who use its models.
    tokenizers["t5-rinna"].do_lower_case = True
    tokenizers["t5-new"].do_lower_case = True
    tokenizers["t5-bare"].do_lower_case = True
    return tokenizers


def encode(tokenizer, text: str) -> dict:
    length = tokenizer.model_max_length
    encoded = tokenizer(text, padding="max_length", truncation=True)
    ids, mask = encoded["input_ids"], encoded["attention_mask"]
    real = sum(mask)
    # What is left out of the file is checked here: everything is padded on the right.
    assert len(ids) == length and mask == [1] * real + [0] * (length - real) and ids[real:] == [tokenizer.pad_token_id] * (length - real)
    cut = tokenizer.tokenize(text)[length - 1:]
    return dict(ids=ids[:real], cut=tokenizer.convert_tokens_to_string(cut)) if cut else dict(ids=ids[:real])


def make(out: Path) -> None:
    tokenizers = make_folders(out)
    texts = strings()
    long = dict(kana="ミツアと猫、先生アート。" * 28_000, letters="An oil painting, " * 20_000, word="ab" * 150_000)
    lines = [f'"texts": {json.dumps(texts)}']
    for name, tokenizer in tokenizers.items():
        record = dict(
            length=tokenizer.model_max_length, padId=tokenizer.pad_token_id, eosId=tokenizer.eos_token_id,
            vocabularySize=1 + max(tokenizer.get_vocab().values()),
            encodings=[encode(tokenizer, text) for text in texts],
            long={key: encode(tokenizer, text)["ids"] for key, text in long.items()},
        )
        lines.append(f'"{name}": {json.dumps(record, ensure_ascii=False, separators=(",", ":"))}')
    (out / "encodings.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")

    every = [chr(point) for point in range(0x110000) if not 0xD800 <= point < 0xE000]
    save_json(out / "characters.json", dict(
        whitespace="".join(c for c in every if c.isspace()),
        lower={c: c.lower() for c in every if c.lower() != c},
        unassigned=ranges([ord(c) for c in every if unicodedata.category(c) == "Cn"]),
    ))


def ranges(points: list[int]) -> list[list[int]]:
    found = []
    for point in points:
        if found and found[-1][1] == point - 1:
            found[-1][1] = point
        else:
            found.append([point, point])
    return found

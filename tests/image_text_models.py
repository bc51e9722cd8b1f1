"""Tiny random image-text models, with a tokenizer of whole words."""

import json
from pathlib import Path
from typing import Any

import torch

from interpfer.au.descriptions import AU_DESCRIPTIONS
from interpfer.labels import EXPRESSIONS
from interpfer.models.image_text.prompts import ADJECTIVES

WORDS = sorted(
    {word for phrases in AU_DESCRIPTIONS.values() for phrase in phrases for word in phrase.split()}
    | {"a", "an", "the", "photo", "of", "face", "with", "man", "fear"}
    | set(ADJECTIVES.values())
    | set(EXPRESSIONS)
)
SPECIAL = ["<pad>", "<unk>", "<end>"]


LETTERS = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "▁", *"abcdefghijklmnopqrstuvwxyz,-"]


def write_tokenizer(folder: Path, kind: str) -> None:
    """Write tokenizer.json: of whole words with an end of text, which has the largest number in CLIP, or of letters."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    if kind == "siglip2":
        from transformers import Siglip2Tokenizer

        Siglip2Tokenizer({name: i for i, name in enumerate(LETTERS)}, []).save_pretrained(folder)
        return
    names = [*SPECIAL, *WORDS] if kind != "clip" else ["<pad>", "<unk>", "<none>", *WORDS, "<end>"]
    end = names.index("<end>")
    tokenizer = Tokenizer(models.WordLevel({name: i for i, name in enumerate(names)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A <end>", special_tokens=[("<end>", end)])
    tokenizer.save(str(folder / "tokenizer.json"))
    fields = {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "<pad>", "unk_token": "<unk>"}
    names_of_input = ["input_ids", "attention_mask"] if kind == "clip" else ["input_ids"]
    settings = fields | {"eos_token": "<end>", "model_input_names": names_of_input}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


def make_model(kind: str, **changes: Any) -> Any:
    """Return a tiny random model of transformers."""
    import transformers

    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = sizes | {
        "vocab_size": len(SPECIAL) + len(WORDS) + 1,
        "max_position_embeddings": 96 if kind == "siglip2" else 24,
    }
    text |= {"eos_token_id": 2, "bos_token_id": 0, "pad_token_id": 0}  # 2: CLIP takes the largest token instead
    text |= {"projection_dim": 12} if kind == "clip" else {}
    text |= changes.pop("text_config", {})
    vision = sizes | {"patch_size": 8, "num_hidden_layers": 4}
    vision |= {"num_patches": 36} if kind == "siglip2" else {"image_size": 48}
    vision |= changes.pop("vision_config", {})
    name = {"clip": "CLIP", "siglip": "Siglip", "siglip2": "Siglip2"}[kind]
    own = {"projection_dim": 12} if kind == "clip" else {}
    config = getattr(transformers, f"{name}Config")(text_config=text, vision_config=vision, **own, **changes)
    torch.manual_seed(0)
    model = getattr(transformers, f"{name}Model")(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():  # the library's own draws are so small that all pictures look alike
            parameter.mul_(3 if parameter.dim() > 1 else 1)
    return model


def write_folder(folder: Path, kind: str, **changes: Any) -> Path:
    """Write a folder as a publisher would."""
    folder.mkdir(parents=True)
    make_model(kind, **changes).save_pretrained(folder)
    write_tokenizer(folder, kind)
    mean = [0.48, 0.46, 0.41] if kind == "clip" else [0.5] * 3
    common = {"do_resize": True, "do_rescale": True, "do_normalize": True, "image_mean": mean}
    own: dict[str, Any] = {
        "clip": {
            "image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 48}, "resample": 3,
            "do_center_crop": True, "crop_size": {"height": 48, "width": 48}, "image_std": [0.27] * 3,
        },
        "siglip": {
            "image_processor_type": "SiglipImageProcessor", "size": {"height": 48, "width": 48}, "resample": 3,
            "image_std": [0.5] * 3,
        },
        "siglip2": {
            "image_processor_type": "Siglip2ImageProcessor", "patch_size": 8, "max_num_patches": 36,
            "image_std": [0.5] * 3, "resample": 2,
        },
    }[kind]  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps(common | own))
    return folder

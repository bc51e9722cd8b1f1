"""Which models of transformers classify clips, and of how many frames."""

from typing import Any


def find_builder(name: str) -> Any:
    """Return the class of transformers that builds classifiers of a type: of clips where that type takes clips."""
    from transformers import AutoModelForImageClassification, AutoModelForVideoClassification

    return AutoModelForVideoClassification if takes_clips(name) else AutoModelForImageClassification


def takes_clips(name: str) -> bool:
    """Return whether a type of model of transformers classifies clips and no pictures."""
    from transformers.models.auto import modeling_auto as known

    of_clips = known.MODEL_FOR_VIDEO_CLASSIFICATION_MAPPING_NAMES
    return name in of_clips and name not in known.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES


def clip_fields(config: Any) -> dict[str, Any]:
    """Return the fields of a card's ``input`` of a network that takes clips; none of one that takes pictures.

    Args:
        config: the config of the network, a ``PretrainedConfig``.
    """
    frames = getattr(config, "num_frames", None) or getattr(config, "frames_per_clip", None)
    is_known = takes_clips(str(getattr(config, "model_type", ""))) and isinstance(frames, int)
    return {"frames": frames, "layout": "ntchw"} if is_known else {}

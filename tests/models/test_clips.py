import warnings
from pathlib import Path

import pytest
import torch
from torch import nn

import interpfer
from interpfer.errors import ModelError
from interpfer.models.input import InputSpec, describe_input, parse_input
from interpfer.models.layer import Layer
from interpfer.models.model import Model
from interpfer.models.placement import RIGHT
from tests.clip_networks import CLASSES, FRAMES, SIZE, MeanOfFrames, Volumes, seeded


def load(network: nn.Module, layout: str = "ncthw", frames: int = FRAMES, size: int = SIZE) -> Model:
    return interpfer.load_model(
        network, classes=CLASSES, input={"size": size, "frames": frames, "layout": layout}, name="clips"
    )


@pytest.fixture(scope="module")
def volumes() -> Model:
    return load(seeded(Volumes))


def test_each_frame_has_the_logits_of_its_clip_and_their_gradient_counts_once(volumes: Model) -> None:
    assert volumes.frames == FRAMES
    x = torch.randn(2 * FRAMES, 3, SIZE, SIZE, requires_grad=True)
    clips = x.detach().reshape(2, FRAMES, 3, SIZE, SIZE).transpose(1, 2).contiguous().requires_grad_()
    expected = volumes.module(clips)
    logits = volumes.logits(x)
    assert torch.equal(logits, expected.detach().repeat_interleave(FRAMES, 0))
    (own,) = torch.autograd.grad(logits[:, 1].sum(), x)
    (plain,) = torch.autograd.grad(expected[:, 1].sum(), clips)
    assert torch.allclose(own, plain.transpose(1, 2).reshape(own.shape), atol=1e-7)
    assert volumes.predict_logits(torch.rand(FRAMES, 3, SIZE, SIZE)).shape == (FRAMES, 3)


def test_pictures_that_are_no_whole_clips_are_refused(volumes: Model) -> None:
    with pytest.raises(
        ModelError, match=r"model clips takes clips of 4 frames: pass all frames of each clip.* got 6 p"
    ):
        volumes.logits(torch.rand(6, 3, SIZE, SIZE))


def test_layers_of_volumes_have_slices_over_time(volumes: Model) -> None:
    described = {layer.name: (layer.channels, layer.slices, layer.grid) for layer in volumes.spatial_layers}
    assert described == {
        "first": (6, 4, (8, 8)),
        **dict.fromkeys(("second", "last.0", "last.1", "last"), (8, 2, (4, 4))),
    }
    assert volumes.layers("last") == ("last",)
    assert [volumes.layer(name).describe() for name in volumes.layers("all")] == [
        "first (6 x 4 x 8 x 8)",
        "second (8 x 2 x 4 x 4)",
        "last (8 x 2 x 4 x 4)",
    ]


def test_layers_of_modules_that_run_on_frames() -> None:
    from tests.clip_networks import Frames

    model = load(MeanOfFrames(seeded(Frames)), "ntchw")
    layer = model.layer("pictures.outer")
    assert model.layers("last") == ("pictures.outer",)
    assert (layer.by_frame, layer.slices, layer.grid) == (True, FRAMES, (4, 4))
    values = torch.randn(2 * FRAMES, 8, 4, 4)
    assert torch.equal(model.to_frames(layer.name, layer.to_grid(values)[:, 5]), values[:, 5])


@pytest.mark.parametrize("layout", ["ncthw", "ntchw", "nthwc", "tokens"])
def test_a_frame_gets_the_slice_at_its_middle(layout: str) -> None:
    volume = torch.randn(2, 5, 3, 4, 4)  # n c t h w
    order = {"ncthw": (0, 1, 2, 3, 4), "ntchw": (0, 2, 1, 3, 4), "nthwc": (0, 2, 3, 4, 1), "tokens": (0, 2, 3, 4, 1)}
    output = volume.permute(order[layout])
    if layout == "tokens":
        output = torch.cat([torch.randn(2, 1, 5), output.reshape(2, 48, 5)], 1)
    layer = Layer("x", 5, (4, 4), layout, prefix=int(layout == "tokens"), frames=8, slices=3)
    grid = layer.to_grid(output)
    assert torch.equal(grid, volume.reshape(2, 5, 12, 4))
    frames = layer.to_frames(grid[:, 2])
    middles = [int((frame + 0.5) / 8 * 3) for frame in range(8)]
    assert middles == [0, 0, 0, 1, 1, 2, 2, 2]
    assert torch.equal(frames, volume[:, 2, middles].flatten(0, 1))


def test_tokens_of_a_time_transformer_are_proven_to_lie_in_space_and_time(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.VideoMAEConfig(
        image_size=32, patch_size=8, num_frames=4, tubelet_size=2, hidden_size=16, num_hidden_layers=3,
        num_attention_heads=2, intermediate_size=16, id2label=dict(enumerate(CLASSES)),
    )  # fmt: skip
    torch.manual_seed(0)
    transformers.VideoMAEForVideoClassification(config).save_pretrained(tmp_path / "mae")
    model = interpfer.load_model(tmp_path / "mae")
    spec = model.card.input
    assert (spec.frames, spec.layout, spec.size, model.classes) == (4, "ntchw", 32, CLASSES)
    assert "no preprocessor_config.json" in model.notes[0]
    (last,) = model.layers("last")
    assert last == "videomae.encoder.layer.2"
    layer = model.layer(last)
    assert (layer.layout, layer.slices, layer.grid, layer.prefix) == ("tokens", 2, (4, 4), 0)
    assert model.find_places([last])[last].verdict == RIGHT
    x = torch.randn(8, 3, 32, 32)
    with torch.no_grad():
        expected = model.module(x.reshape(2, 4, 3, 32, 32)).logits.repeat_interleave(4, 0)
        assert torch.allclose(model.logits(x), expected, atol=1e-6)


def test_programs_of_clips_are_proven_by_a_forward(tmp_path: Path) -> None:
    network = seeded(Volumes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        program = torch.jit.trace(network, torch.randn(1, 3, FRAMES, SIZE, SIZE))
    program.save(str(tmp_path / "program.pt"))
    card = tmp_path / "program.yaml"
    card.write_text(f"classes: [{', '.join(CLASSES)}]\ninput: {{size: {SIZE}, frames: {FRAMES}}}\n")
    model = interpfer.load_model(tmp_path / "program.pt")
    images = torch.rand(3 * FRAMES, 3, SIZE, SIZE)
    own = interpfer.compute_maps(load(network), images, maps=["saliency"], targets="happiness")
    of_program = interpfer.compute_maps(model, images, maps=["saliency"], targets="happiness")
    assert torch.allclose(of_program["saliency", "input"], own["saliency", "input"], atol=1e-6)
    card.write_text(f"classes: [{', '.join(CLASSES)}]\ninput: {{size: {SIZE}}}\n")
    with pytest.raises(ModelError, match=r"given 2 x 3 x 16 x 16 pixels in rgb; if it takes clips, write their number"):
        interpfer.compute_maps(interpfer.load_model(tmp_path / "program.pt"), images[:2], maps=["saliency"])


def test_a_network_that_takes_clips_says_so_where_the_card_does_not() -> None:
    with pytest.raises(ModelError, match=r"if it takes clips, write their number of frames and layout into the card"):
        load(seeded(Volumes), frames=1).layers("last")
    with pytest.raises(ModelError, match=r"clips of 4 frames as ntchw; check frames, layout \(ncthw or ntchw\)"):
        load(seeded(Volumes), "ntchw").layers("last")


def test_the_card_says_how_many_frames() -> None:
    spec = parse_input({"size": 112, "frames": 16, "layout": "NTCHW"}, "a.yaml")
    assert spec == InputSpec(112, frames=16, layout="ntchw")
    assert describe_input(spec) == {"size": 112, "color": "rgb", "frames": 16, "layout": "ntchw"}
    assert repr(InputSpec(112)) == "InputSpec(size=112, color='rgb', scale=1.0, mean=(0.0,), std=(1.0,))"
    for fields, message in {
        "frames": ({"frames": 0}, r"input.frames must be at least 1, got 0"),
        "text": ({"frames": "many"}, r"input.frames must be a number of frames, got 'many'"),
        "layout": ({"layout": "nthwc"}, r"input.layout must be one of ncthw, ntchw, got 'nthwc'"),
    }.values():
        with pytest.raises(ModelError, match=message):
            parse_input(fields, "a.yaml")
    with pytest.raises(ModelError, match="outputs for action units are read of pictures, not of clips"):
        interpfer.load_model(seeded(Volumes), aus=[1, 2, 4], input={"frames": 4})

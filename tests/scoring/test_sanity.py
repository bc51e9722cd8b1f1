"""A model that learned something, and the same with random weights: the check distinguishes them."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from click.testing import CliRunner

import interpfer
from interpfer.cli import group
from interpfer.datasets.csv import CsvDataset
from interpfer.metrics.randomisation import RandomComparison, randomised
from interpfer.models.model import Model
from interpfer.models.small import SmallCNN
from interpfer.scoring.options import ScoreOptions
from interpfer.scoring.sanity import FAITHFUL, PASSES, SAME, UNDEFINED, UNFAITHFUL, _compare, check, sentences
from interpfer.scoring.session import ScoreSession, open_session
from tests.conftest import EXPRESSIONS


def session(model: Model, faces: Path, maps: tuple[str, ...] = ("gradcam",), layers: str = "last") -> ScoreSession:
    dataset = CsvDataset.open(faces, "test")
    landmarks = str(faces / "landmarks.txt")
    return open_session(ScoreOptions(landmarks=landmarks, maps=maps, layers=layers, metrics="cosine"), model, dataset)


@pytest.fixture(scope="module")
def learned(faces: Path) -> Model:
    """A small classifier that knows the drawn faces by heart."""
    torch.manual_seed(0)
    network = SmallCNN(7, width=8)
    model = interpfer.load_model(network, classes=EXPRESSIONS, input_size=96, mean=[0.5], std=[0.25])
    batch = session(model, faces).stream.read(range(42))
    x = model.normalise(batch.faces.images)
    labels = torch.tensor([EXPRESSIONS.index(batch.faces.classes[i]) for i in batch.faces.labels.tolist()])
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    network.train()
    for _ in range(60):
        optimiser.zero_grad()
        torch.autograd.backward(F.cross_entropy(network(x), labels))
        optimiser.step()
    network.eval()
    assert (network(x).argmax(1) == labels).float().mean() > 0.9
    return model


def test_random_weights_are_no_more_faithful_than_random_maps(learned: Model, faces: Path) -> None:
    before = learned.sha256
    found = check(session(learned, faces, ("gradcam", "baseline:uniform")))
    assert learned.sha256 == before
    assert list(found["maps"]) == ["gradcam@stages.3"]
    facts = found["maps"]["gradcam@stages.3"]
    assert facts["verdict"] == PASSES
    assert facts["faithfulness"]["verdict"] == FAITHFUL
    assert facts["faithfulness_shuffled"]["verdict"] == UNFAITHFUL
    assert facts["cascade"][0] == pytest.approx(1)
    assert facts["similarity"] <= facts["random"]["threshold"]
    assert facts["random"]["mean"] <= facts["random"]["threshold"]
    assert (found["networks"], facts["random"]["pairs"], found["permuted"]) == (5, 10, [])
    assert 0 <= facts["noise"] <= 1
    assert (found["faces"], found["tried"]) == (42, 32)
    (line,) = sentences(found)
    assert line.startswith("sanity of gradcam@stages.3: passes (")
    assert "; better than random maps (" in line

    with randomised(learned):
        blind = check(session(learned, faces))["maps"]["gradcam@stages.3"]
    assert blind["faithfulness"]["verdict"] == UNFAITHFUL
    assert learned.sha256 == before


def test_faithfulness_of_few_people_has_a_wide_interval(learned: Model, faces: Path) -> None:
    independent = session(learned, faces)
    three = session(learned, faces)
    samples = three.dataset.samples
    three.dataset.samples = tuple(replace(sample, subject=f"person {row % 3}") for row, sample in enumerate(samples))
    by_image, by_person = (check(each)["maps"]["gradcam@stages.3"]["faithfulness"] for each in (independent, three))
    assert by_person["value"] == pytest.approx(by_image["value"], abs=1e-6)
    assert by_person["high"] - by_person["low"] != pytest.approx(by_image["high"] - by_image["low"], rel=0.05)
    samples = tuple(replace(sample, subject="one") for sample in samples)
    three.dataset.samples = samples
    alone = check(three)["maps"]["gradcam@stages.3"]["faithfulness"]
    assert math.isnan(alone["low"])
    assert alone["verdict"] == UNFAITHFUL


def test_a_map_of_the_picture_does_not_depend_on_the_weights(faces: Path) -> None:
    class Blur(torch.nn.Module):
        """Its first layer has no weights: its attention is the picture."""

        def __init__(self) -> None:
            super().__init__()
            self.blur, self.head = torch.nn.AvgPool2d(4), torch.nn.Linear(3, 7)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.blur(x).mean((2, 3)))

    model = interpfer.load_model(Blur(), classes=EXPRESSIONS, input_size=48)
    facts = check(session(model, faces, ("attention",), "blur"))["maps"]["attention@blur"]
    assert facts["verdict"] == SAME
    assert facts["similarity"] == pytest.approx(1)
    assert facts["random"]["threshold"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("similarity", "pairs", "noise", "verdict"),
    [
        (0.3, (0.2, 0.4), 0.1, PASSES),
        (0.45, (0.2, 0.4), 0.1, SAME),  # the 95 % quantile of .2 and .4 is .39
        (0.395, (0.2, 0.4), 0.1, SAME),
        (0.95, (0.97, 0.99), 0.1, SAME),  # new weights change it less than noise does
        (0.95, (0.97, 0.99), 0.01, PASSES),
        (math.nan, (0.2,), 0.1, UNDEFINED),
        (0.2, (), 0.1, UNDEFINED),
        (0.3, (0.4,), math.nan, PASSES),
    ],
)
def test_the_threshold_is_that_of_random_networks(
    similarity: float, pairs: tuple[float, ...], noise: float, verdict: str
) -> None:
    facts = _compare(RandomComparison(similarity, pairs), noise)
    assert facts["verdict"] == verdict
    if pairs:
        assert facts["random"]["threshold"] == pytest.approx(max(pairs) - 0.05 * (max(pairs) - min(pairs)))


def test_the_switch_writes_run_json_and_prints(faces: Path, checkpoint: Path, tmp_path: Path) -> None:
    call = ["score", checkpoint, "--dataset", "csv", "--data-root", faces, "--landmarks", faces / "landmarks.txt",
            "--maps", "attention,gradcam,baseline:uniform", "--limit", "8", "--sanity",
            "--out", tmp_path / "run"]  # fmt: skip
    done = CliRunner().invoke(group, [str(item) for item in call])
    assert done.exit_code == 0, done.output
    assert "sanity of attention@stages.3: " in done.stderr
    sanity = json.loads((tmp_path / "run" / "run.json").read_text())["sanity"]
    assert set(sanity["maps"]) == {"attention@stages.3", "gradcam@stages.3"}
    assert sanity["faces"] <= 8
    assert sanity["maps"]["attention@stages.3"]["verdict"] in (PASSES, SAME)


def test_without_a_map_of_the_model_there_is_nothing_to_check(faces: Path, checkpoint: Path) -> None:
    found = check(session(interpfer.load_model(checkpoint), faces, ("baseline:uniform",)))
    assert found == {"faces": 0, "tried": 0, "maps": {}}
    assert sentences(found) == []

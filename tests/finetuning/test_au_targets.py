import pytest
import torch
import torch.nn.functional as F

from interpfer.errors import InterpferError
from interpfer.finetuning.au_targets import au_loss, au_targets, trainable_aus
from interpfer.truth import open_truth
from interpfer.truth.options import TruthOptions
from interpfer.types import CodedAU, CodedAUs, Sample

LABELS = [Sample(str(i), label) for i, label in enumerate(("happiness", "neutral", "surprise"))]
CODED = [
    Sample("a", "", aus=CodedAUs((CodedAU(12), CodedAU(6)), frozenset({4, 6, 12}))),
    Sample("b", "happiness", aus=CodedAUs((CodedAU(4),), frozenset({4, 12}))),
    Sample("c", "happiness"),
]


def test_action_units_of_a_label_are_those_of_the_codebook() -> None:
    truth = open_truth(TruthOptions(codebook="belharbi2024"))
    aus = trainable_aus(truth, LABELS)
    assert aus == tuple(sorted({*truth.expected_aus("happiness"), *truth.expected_aus("surprise")}))
    table = au_targets(truth, LABELS, aus)
    assert table[1].tolist() == [0.0] * len(aus)
    for row, label in ((0, "happiness"), (2, "surprise")):
        assert [au for au, value in zip(aus, table[row].tolist(), strict=True) if value] == list(
            truth.expected_aus(label)
        )


def test_coded_action_units_count_where_they_were_coded() -> None:
    truth = open_truth(TruthOptions(truth="aus"))
    assert trainable_aus(truth, CODED) == (4, 12)
    table = au_targets(truth, CODED, (4, 6, 12))
    assert table[0].tolist() == [0, 1, 1]
    assert table[1, [0, 2]].tolist() == [1, 0]
    assert table.isnan().tolist() == [[False] * 3, [False, True, False], [True] * 3]


def test_action_units_that_do_not_vary_are_refused() -> None:
    truth = open_truth(TruthOptions())
    with pytest.raises(InterpferError) as raised:
        trainable_aus(truth, [LABELS[0]])
    assert str(raised.value) == (
        "--au-head needs action units that are present on some training faces and absent on others, and --truth "
        "codebook has none here; pass --truth codebook, or --truth aus with coded faces."
    )


def test_the_loss_is_the_cross_entropy_of_what_is_known() -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    targets = torch.tensor([[1.0, torch.nan, 0.0], [torch.nan, 1.0, 0.0]], dtype=torch.float64)
    pairs = [(logits[i, j], targets[i, j]) for i in range(2) for j in range(3) if not targets[i, j].isnan()]
    slow = torch.stack([-F.logsigmoid(x if y else -x) for x, y in pairs]).mean()
    assert float(au_loss(logits, targets).detach()) == pytest.approx(float(slow.detach()))
    assert torch.autograd.gradcheck(lambda x: au_loss(x, targets), logits)
    assert float(au_loss(logits, torch.full_like(targets, torch.nan)).detach()) == 0

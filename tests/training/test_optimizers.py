import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from framepred.training import Muon
from framepred.training.optimizers import orthogonalise


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 16, 3), nn.ReLU(), nn.Conv2d(16, 1, 1))


def loss(model: nn.Module) -> Tensor:
    frames = torch.rand(4, 2, 6, 6, generator=torch.Generator().manual_seed(1))
    return functional.mse_loss(model(frames), frames.mean(dim=1, keepdim=True)[..., 1:-1, 1:-1])


def train(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> float:
    for _ in range(steps):
        optimizer.zero_grad()
        loss(model).backward()
        optimizer.step()
    return loss(model).item()


@pytest.mark.parametrize("shape", [(8, 8), (12, 40), (40, 12)])
def test_orthogonalised_singular_values_are_about_one(shape: tuple[int, int]) -> None:
    matrix = torch.randn(*shape, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalise(matrix))
    assert values.min() > 0.5
    assert values.max() < 1.3


def test_orthogonalising_keeps_the_singular_vectors() -> None:
    matrix = torch.randn(8, 20, generator=torch.Generator().manual_seed(0))
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    in_place = left.T @ orthogonalise(matrix) @ right.T
    assert in_place.diagonal().min() > 0.5
    torch.testing.assert_close(in_place, in_place.diagonal().diag(), atol=0.05, rtol=0)  # bfloat16 where that is fast


def test_zero_gradients_move_nothing() -> None:
    assert orthogonalise(torch.zeros(8, 9)).abs().max() == 0


def test_kernels_go_to_muon_and_the_rest_to_adamw() -> None:
    groups = Muon(net().parameters()).param_groups
    assert {group["orthogonal"]: [tuple(p.shape) for p in group["params"]] for group in groups} == {
        True: [(16, 2, 3, 3)],
        False: [(16,), (1, 16, 1, 1), (1,)],
    }


def test_matrices_of_other_layers_go_to_adamw() -> None:
    groups = Muon(nn.LSTMCell(8, 16).parameters()).param_groups
    assert not any(group["orthogonal"] for group in groups)


def test_without_kernels_it_is_adamw() -> None:
    ours, theirs = nn.Linear(3, 16), nn.Linear(3, 16)
    theirs.load_state_dict(ours.state_dict())
    arguments = {"lr": 1e-2, "betas": (0.9, 0.98), "weight_decay": 0.1}
    optimizers = Muon(ours.parameters(), **arguments), torch.optim.AdamW(theirs.parameters(), **arguments)
    frames = torch.rand(5, 3, generator=torch.Generator().manual_seed(1))
    for _ in range(20):
        for model, optimizer in zip((ours, theirs), optimizers, strict=True):
            optimizer.zero_grad()
            model(frames).square().mean().backward()
            optimizer.step()
    torch.testing.assert_close(ours.weight, theirs.weight)
    torch.testing.assert_close(ours.bias, theirs.bias)


@pytest.mark.parametrize(("shape", "reach"), [((8, 4, 3, 3), 0.01), ((32, 8, 1, 1), 0.02)])
def test_a_step_moves_every_direction_by_the_rate(shape: tuple[int, ...], reach: float) -> None:
    kernel = nn.Parameter(torch.zeros(shape))
    kernel.grad = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * 1e-3
    Muon([kernel], kernel_lr=0.01, weight_decay=0).step()
    assert torch.linalg.svdvals(kernel.detach().flatten(1)).tolist() == pytest.approx([reach] * 8, rel=0.5)


def test_it_learns() -> None:
    model = net()
    before = loss(model).item()
    assert train(model, Muon(model.parameters(), lr=0.01, kernel_lr=0.1), 60) < before / 10


def test_a_resumed_run_repeats_an_unbroken_one() -> None:
    whole, broken = net(), net()
    train(whole, Muon(whole.parameters()), 6)
    first = Muon(broken.parameters())
    train(broken, first, 3)
    second = Muon(broken.parameters())
    second.load_state_dict(first.state_dict())
    train(broken, second, 3)
    for left, right in zip(whole.parameters(), broken.parameters(), strict=True):
        assert torch.equal(left, right)


def test_the_closure_is_evaluated_with_gradients() -> None:
    model = net()
    optimizer = Muon(model.parameters())

    def closure() -> float:
        optimizer.zero_grad()
        value = loss(model)
        value.backward()
        return value.item()

    assert optimizer.step(closure) == pytest.approx(optimizer.step(closure), rel=0.5)


@pytest.mark.parametrize(
    "arguments", [{"lr": -1.0}, {"kernel_lr": -1.0}, {"momentum": 1.0}, {"betas": (0.9, 1.5)}, {"weight_decay": -0.1}]
)
def test_arguments_outside_their_domain_are_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="Muon needs"):
        Muon(net().parameters(), **arguments)

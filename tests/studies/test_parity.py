"""The parity study: hand-worked measures and statistics, losses against autograd and closed forms, and the same findings twice."""

import math
import time
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
import yaml
from conftest import ROOT, close
from idx_files import folder

from razorbench.errors import UsageError
from razorbench.studies.parity.images import Images
from razorbench.studies.parity.measures import accuracy, activation_change, divergences, fisher, weight_change
from razorbench.studies.parity.methods import METHODS, Batches, Examples, Penalty, advantages, conditioned, objective, rewarded, supervised
from razorbench.studies.parity.network import forward, initial, log_probs, schedule, train
from razorbench.studies.parity.study import Parity

TINY = Parity(
    seeds=(3, 4),
    hidden=(8, 6),
    pretrain_images=60,
    pretrain_epochs=8,
    tune_images=40,
    test_images=60,
    learning_rates=3,
    epochs=(1, 2),
    checkpoints=2,
    targets=(0.6, 0.99),
)


def tensor(*values):
    return torch.tensor(values, dtype=torch.float32)


def draws(seed=0):
    return torch.Generator().manual_seed(seed)


# Networks and losses


def examples(labels=(0, 3, 4), kind=Examples.parity):
    return kind(Images(np.random.default_rng(1).random((len(labels), 4)), np.array(labels)))


def test_right_answers_and_the_indicator():
    new, old = examples(), examples(kind=Examples.identity)
    assert new.right.int().tolist()[:2] == [[1, 0] * 5, [0, 1] * 5]
    assert old.right.int().argmax(dim=1).tolist() == [0, 3, 4]
    assert old.right.sum() == 3
    assert new.inputs[:, -1].tolist() == [1.0] * 3
    assert old.inputs[:, -1].tolist() == [-1.0] * 3


def torch_network(parameters, run):
    layers = []
    for weight, bias in zip(parameters[::2], parameters[1::2], strict=True):
        layer = torch.nn.utils.skip_init(torch.nn.Linear, *weight.shape[1:])
        layer.weight.data, layer.bias.data = weight[run].T.clone(), bias[run, 0].clone()
        layers += [layer, torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


def test_runs_side_by_side_are_trained_as_torch_trains_one():
    rates, inputs = schedule(tensor(1e-2, 3e-3), torch.tensor([False, True]), 10, 0.2), examples().inputs
    labels = torch.tensor([0, 3, 4])
    start = [one.expand(2, -1, -1) for one in initial((5, 7, 10), draws())]
    *_, tuned = train(start, lambda parameters: -log_probs(parameters, inputs)[:, range(3), labels].mean(dim=1).sum(), rates)
    for run in range(2):
        network = torch_network(start, run)
        optimizer = torch.optim.Adam(network.parameters())
        for rate in rates[:, run]:
            optimizer.param_groups[0]["lr"] = float(rate)
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(network(inputs), labels).backward()
            optimizer.step()
        torch.testing.assert_close(log_probs(tuned, inputs)[run], network(inputs).log_softmax(-1), atol=1e-5, rtol=0)


def test_the_learning_rate_rises_then_stays_or_falls():
    rates = schedule(tensor(1.0, 1.0), torch.tensor([False, True]), 10, 0.2)
    close(rates[:, 0].tolist(), [0.5] + [1.0] * 9)
    close(rates[[0, 1, 5, 9], 1].tolist(), [0.5, 1.0, 0.5, 0.0])


def test_batches_visit_every_image_once_an_epoch():
    order = Batches(3, 2, draws()).order(7)
    epoch = [next(order) for _ in range(3)]
    assert [tuple(batch.shape) for batch in epoch] == [(2, 3), (2, 3), (2, 1)]
    assert all(sorted(run) == list(range(7)) for run in torch.cat(epoch, dim=1).tolist())


def test_the_oracle_is_the_base_given_success_and_labels_follow_q():
    close(conditioned(tensor(0.5, 0.3, 0.2), tensor(1, 0, 1)).tolist(), [0.714286, 0, 0.285714])
    q = conditioned(tensor(0.5, 0.3, 0.2), tensor(1, 0, 1))[None, None]
    drawn = Batches(1, 1, draws()).draw(q, 20_000)
    close((drawn == 0).float().mean().item(), 0.714286, abs=0.01)
    assert not (drawn == 1).any()


def test_advantages_by_hand():
    close(advantages(tensor(1, 0, 0, 0)).tolist(), [1.732051] + [-0.577350] * 3)
    assert advantages(torch.ones(2, 8)).tolist() == [[0.0] * 8] * 2


def gradient(loss, parameters):
    parameters = [one.clone().requires_grad_() for one in parameters]
    return torch.cat([one.flatten() for one in torch.autograd.grad(loss(parameters), parameters)])


def averaged(make, parameters, size=1, times=4000):
    """The mean gradient of a sampled loss, over many copies side by side."""
    copies = [one.expand(times, -1, -1).clone().requires_grad_() for one in parameters]
    loss = make(Batches(size, times, draws()))(copies) / times
    return torch.cat([one.sum(dim=0).flatten() for one in torch.autograd.grad(loss, copies)])


def test_sampled_losses_have_the_gradients_of_their_expectations():
    shown, parameters = examples(labels=(3,)), initial((5, 10), draws())
    right = shown.right[0]
    base = log_probs(initial((5, 10), draws(1)), shown.inputs)[0].detach()

    def probabilities(these):
        return log_probs(these, shown.inputs)[0, 0].exp()

    pairs = {
        "reinforce": lambda these: -probabilities(these)[right].sum(),
        "oracle": lambda these: -(conditioned(base.exp(), shown.right)[0] * probabilities(these).log()).sum(),
        "sft_1": lambda these: -probabilities(these)[1].log(),
        "sft_2": lambda these: -probabilities(these)[[1, 5]].log().mean(),
    }
    for method, exact in pairs.items():
        found = averaged(lambda batches, method=method: objective(method, shown, base, 8, 0.1, batches), parameters)
        torch.testing.assert_close(found, gradient(exact, parameters), atol=0.02, rtol=0)


def test_grpo_pushes_as_the_reward_does_and_its_penalty_is_a_kl():
    shown, parameters = examples(labels=(3,)), initial((5, 10), draws())
    base = log_probs(initial((5, 10), draws(1)), shown.inputs)[0].detach()
    up = averaged(lambda batches: objective("grpo", shown, base, 8, 0.1, batches), parameters)
    reward = gradient(lambda these: -log_probs(these, shown.inputs)[0, 0].exp()[shown.right[0]].sum(), parameters)
    assert torch.nn.functional.cosine_similarity(up, reward, dim=0) > 0.99
    current = log_probs(parameters, shown.inputs)
    penalty = Penalty(0.3, base).of(current, torch.tensor([[0]]))
    exact = torch.distributions.kl_divergence(torch.distributions.Categorical(logits=current[0, 0]), torch.distributions.Categorical(logits=base[0]))
    close(penalty.item(), 0.3 * exact.item())
    losses = [rewarded(shown, advantages, 8, each, Batches(1, 1, draws()))(parameters) for each in (Penalty(0.3, base), None)]
    close((losses[0] - losses[1]).item(), penalty.item())


def test_a_run_does_not_see_the_others():
    shown = examples(labels=tuple(range(10)))
    start = [torch.cat([one, one + 0.1]) for one in initial((5, 6, 10), draws())]
    rates = torch.tensor([[1e-2, 0.0]] * 5)
    loss = supervised(shown, conditioned(torch.ones(10), shown.right), Batches(4, 2, draws()))
    *_, tuned = train(start, loss, rates)
    assert all((before[0] != after[0]).any() and (before[1] == after[1]).all() for before, after in zip(start, tuned, strict=True))


# Measures


def test_divergences_by_hand():
    found = divergences(tensor([0.5, 0.3, 0.2]).log(), tensor([[0.2, 0.5, 0.3]]).log())
    wanted = {"kl_forward": 0.223805, "kl_reverse": 0.193794, "js": 0.050875, "tv": 0.3, "l2": 0.374166}
    assert {name: pytest.approx(value, abs=1e-6) for name, value in wanted.items()} == {name: value.item() for name, value in found.items()}


def test_nothing_caps_the_forward_kl():
    far = divergences(tensor([0.5, 0.5]).log(), tensor([[0.0, -80.0]]).log_softmax(-1))
    close(far["kl_forward"].item(), 40 - math.log(2), abs=1e-4)


def test_weight_and_activation_changes_by_hand():
    base = [torch.zeros(1, 2, 2), torch.zeros(1, 1, 2)]
    tuned = [tensor([[0.3, 0], [0, 0.4]]), torch.zeros(1, 1, 2)]
    information = [tensor([[1, 2], [3, 4]]), torch.ones(1, 1, 2)]
    found = {name: value.item() for name, value in weight_change(base, tuned, information).items()}
    wanted = {"l1": 0.7 / 6, "l2": 0.5, "fisher": 0.73, "spectral": 0.4, "changed": 2 / 6, "rank": 2}
    assert found == {f"weights_{name}": pytest.approx(value, abs=1e-6) for name, value in wanted.items()}
    far = activation_change([torch.zeros(1, 1, 2), torch.zeros(1, 1, 2)], [tensor([[3, 4]]), tensor([[0, 0]])])
    close(far["activations_l1"].item(), 3.5 / 2)
    close(far["activations_l2"].item(), math.sqrt(12.5) / 2)


def test_fisher_is_the_mean_of_squared_slopes_of_each_input():
    parameters, inputs = initial((5, 4, 10), draws()), examples().inputs
    found = fisher(parameters, inputs, draws(5))
    with torch.no_grad():
        drawn = torch.multinomial(log_probs(parameters, inputs)[0].exp(), 1, generator=draws(5))
    squares = [gradient(lambda these, k=k: log_probs(these, inputs)[0, k, drawn[k, 0]], parameters).square() for k in range(3)]
    torch.testing.assert_close(torch.cat([one.flatten() for one in found]), torch.stack(squares).mean(dim=0))


def test_accuracy_when_greedy_and_when_sampling():
    tuned = tensor([[[0.6, 0.3, 0.1], [0.4, 0.5, 0.1]]]).log()
    greedy, sampled = accuracy(tuned, torch.tensor([[True, False, True], [True, False, False]]))
    close(greedy.item(), 0.5)
    close(sampled.item(), (0.7 + 0.4) / 2)
    entering, leaving = forward(initial((5, 4, 10), draws()), examples().inputs)
    assert [one.shape for one in (*entering, *leaving)] == [(1, 3, 5), (1, 3, 4), (1, 3, 4), (1, 3, 10)]


# The study


def test_conf_and_defaults_say_the_same():
    written = yaml.safe_load((ROOT / "conf" / "study" / "parity.yaml").read_text(encoding="utf-8"))
    assert written.pop("_target_") == "razorbench.studies.parity.study.Parity"
    assert {name: tuple(value) if isinstance(value, list) else value for name, value in written.items()} == asdict(Parity())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": (1,)}, "two or more"),
        ({"seeds": (1, 1)}, "two or more distinct seeds"),
        ({"epochs": ()}, "one or more numbers"),
        ({"lowest_rate": 0.1}, "the lowest must not be above"),
        ({"test_images": 0}, "test_images is 0"),
        ({"group_size": 1}, "group_size is 1"),
        ({"checkpoints": 3}, "the shortest run has 2 updates"),
    ],
)
def test_settings_that_cannot_be_run_are_refused(changes, message):
    with pytest.raises(UsageError, match=message):
        replace(TINY, **changes)


def test_the_same_settings_give_the_same_findings_and_leave_torch_alone(tmp_path):
    torch.manual_seed(5)
    state, threads, said = torch.get_rng_state(), torch.get_num_threads(), []
    first, second = TINY.run(said.append), TINY.run(said.append)
    assert torch.equal(state, torch.get_rng_state())
    assert threads == torch.get_num_threads()
    assert first.text == second.text
    assert first.tables == second.tables
    assert said[0].startswith("seed 3: the base has 0.")
    assert len(first.tables["checkpoints"]) == 2 * len(METHODS) * (3 * 2 * 2) * 2
    assert set(first.figures) == {"tradeoff", "rivals", "matched"}
    first.save(tmp_path, TINY)
    assert (tmp_path / "report.md").read_text(encoding="utf-8") == first.text
    assert (tmp_path / "tradeoff.svg").stat().st_size > 10_000


def test_the_study_runs_on_files_of_mnist(tmp_path):
    small = replace(TINY, images=str(folder(tmp_path, images=60, labels=60)), pretrain_images=20, tune_images=30, test_images=10, batch_size=16)
    assert "# Parity on images" in small.run(lambda line: None).text


@pytest.mark.slow
@pytest.mark.long
def test_the_whole_study_in_its_time():
    started = time.perf_counter()
    found = Parity().run(print)
    assert time.perf_counter() - started < 300
    rows = {(row["predictor"], row["inputs"]): row for row in found.tables["rivals"]}
    assert rows["forward KL", "new task"]["rising_r2"] > 0.9 > rows["weight change, L1", ""]["rising_r2"]
    assert max(row["largest_forgetting"] for row in found.tables["methods"]) > 0.5

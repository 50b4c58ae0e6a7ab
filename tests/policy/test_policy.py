import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from razorbench.errors import FileDamaged
from razorbench.method import handle
from razorbench.policy import network


@pytest.fixture
def saved(base, tmp_path):
    path = tmp_path / "policy.safetensors"
    network.save(base.policy, path)
    return path


def test_save_and_load_give_the_same_policy(base, saved):
    observations = np.random.default_rng(0).normal(size=(70, 72)).astype(np.float32)
    there, back = network.distribution(base.policy, observations), network.distribution(network.load(saved, base.policy), observations)
    assert np.array_equal(there.mean, back.mean)
    assert np.array_equal(there.log_std, back.log_std)


@pytest.mark.parametrize("keep", [0, 10, 1000, 100_000])
def test_a_cut_file_is_refused(base, saved, keep):
    saved.write_bytes(saved.read_bytes()[:keep])
    with pytest.raises(FileDamaged, match="damaged or cut short"):
        network.load(saved, base.policy)


def test_a_pickle_is_refused(base, tmp_path):
    torch.save({"log_std": torch.zeros(4)}, tmp_path / "policy.safetensors")
    with pytest.raises(FileDamaged):
        network.load(tmp_path / "policy.safetensors", base.policy)


def test_other_shapes_and_missing_files_and_nan_are_refused(base, tmp_path):
    with pytest.raises(FileDamaged, match="does not exist"):
        network.load(tmp_path / "none.safetensors", base.policy)
    tensors = {name: value.clone() for name, value in base.policy.state_dict().items()}
    save_file(tensors | {"log_std": torch.zeros(5)}, tmp_path / "shape.safetensors")
    with pytest.raises(FileDamaged, match="log_std of shape"):
        network.load(tmp_path / "shape.safetensors", base.policy)
    save_file(tensors | {"log_std": torch.full((4,), torch.nan)}, tmp_path / "nan.safetensors")
    with pytest.raises(FileDamaged, match="NaN"):
        network.load(tmp_path / "nan.safetensors", base.policy)


def test_log_likelihood_is_the_density_of_the_distribution(base):
    observations = np.random.default_rng(1).normal(size=(50, 72)).astype(np.float32)
    actions = np.random.default_rng(2).normal(size=(50, 4)).astype(np.float32)
    ours = network.log_likelihood(base.policy, torch.from_numpy(observations), torch.from_numpy(actions)).detach()
    theirs = base.policy.evaluate_actions(torch.from_numpy(observations), torch.from_numpy(actions))[1].detach()
    assert torch.allclose(ours, theirs, atol=1e-4)


def test_log_std_stays_in_its_range(base):
    tuned = network.clone(base.policy)
    optimizer = network.actor_optimizer(tuned, 1.0)
    for sign in (1, -1):
        for _ in range(10):
            optimizer.zero_grad()
            (sign * tuned.log_std.sum()).backward()
            optimizer.step()
        assert float(tuned.log_std.detach().min()) >= -3.0
        assert float(tuned.log_std.detach().max()) <= 1.0


def test_actor_and_critic_share_nothing(base):
    actor = {id(p) for p in network.actor_parameters(base.policy)}
    critic = {id(p) for p in network.critic_parameters(base.policy)}
    assert not actor & critic
    assert len(actor) + len(critic) == len(list(base.policy.parameters()))


@pytest.mark.usefixtures("known_platform")
def test_large_minibatches_give_the_same_gradients_on_any_number_of_threads(base):
    rng = np.random.default_rng(0)
    observations = torch.from_numpy(rng.normal(size=(1024, 72)).astype(np.float32))
    actions = torch.from_numpy(rng.normal(size=(1024, 4)).astype(np.float32))
    gradients, before = [], torch.get_num_threads()
    for threads in range(1, handle._MOST_TORCH_THREADS + 1):
        torch.set_num_threads(threads)
        twin = network.clone(base.policy)
        network.log_likelihood(twin, observations, actions).mean().backward()
        twin.predict_values(observations).mean().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in twin.parameters()]))
    torch.set_num_threads(before)
    assert all(torch.equal(gradients[0], other) for other in gradients[1:])

from __future__ import annotations

import math

import pytest
import torch

from talkhead.errors import ShapeError
from talkhead.systems.sadtalker.config import AudioConfig, MappingConfig, PoseConfig
from talkhead.systems.sadtalker.model_audio import ExpNet
from talkhead.systems.sadtalker.model_mapping import MappingNet
from talkhead.systems.sadtalker.model_posevae import PoseVAE
from talkhead.systems.sadtalker.semantics import keypoints
from talkhead.systems.sadtalker.train import (
    ExpTargets,
    ExpTraining,
    MappingTraining,
    PoseBatch,
    PoseTraining,
    adam,
    discriminator_loss,
    discriminator_step,
    distill_loss,
    exp_step,
    eye_loss,
    eye_ratio,
    fooling_loss,
    keypoint_loss,
    kl_loss,
    landmark_loss,
    mapping_step,
    motion_loss,
    outside_eyes_loss,
    pose_step,
    reading_loss,
    reconstruct,
    reparameterised,
)

AUDIO, POSE = AudioConfig(width=2), PoseConfig(hidden=8, width=2)


@pytest.fixture
def random():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def eyes():
    """Eyes 3 wide and 1 high."""
    landmarks = torch.zeros(1, 1, 68, 2)
    for first, x in ((36, 0.0), (42, 10.0)):
        corners = torch.tensor([[0, 0], [1, 0.5], [2, 0.5], [3, 0], [2, -0.5], [1, -0.5]])
        landmarks[0, 0, first : first + 6] = corners + torch.tensor([x, 0.0])
    return landmarks


def test_the_papers_numbers():
    exp, pose, mapping = ExpTraining(), PoseTraining(), MappingTraining()
    assert (exp.distill, exp.read, exp.landmarks, exp.eye) == (2, 0.01, 0.01, 200)
    assert (pose.mse, pose.kl, pose.gan) == (1, 1, 0.7)
    assert mapping.keypoints == 20
    assert [c.learning_rate for c in (exp, pose, mapping)] == [2e-5, 1e-4, 2e-4]
    assert [c.n_frames for c in (exp, pose, mapping)] == [5, 32, 5]


def test_equal_is_zero(random):
    for loss, shape in (
        (distill_loss, (2, 5, 64)),
        (motion_loss, (2, 32, 6)),
        (keypoint_loss, (2, 15, 3)),
        (outside_eyes_loss, (2, 5, 68, 2)),
    ):
        x = torch.randn(shape, generator=random)
        assert loss(x, x.clone()) == 0
        assert loss(x, x + 1) > 0
        with pytest.raises(ShapeError):
            loss(x, x[:1])


def test_eyes_are_as_open_as_they_look(eyes):
    # Each eye is 1 high and 3 wide: the sum of heights over the mean width.
    torch.testing.assert_close(eye_ratio(eyes), torch.tensor([[2 / 3]]))
    torch.testing.assert_close(eye_ratio(7 * eyes), eye_ratio(eyes))
    closed = eyes.clone()
    closed[..., 1] = 0
    assert eye_ratio(closed).item() == 0
    with pytest.raises(ShapeError):
        eye_ratio(eyes[..., :40, :])


def test_eye_loss_is_summed_over_frames(eyes):
    frames = eyes.expand(2, 5, 68, 2)
    torch.testing.assert_close(eye_loss(frames, torch.full((2, 5), 2 / 3)), torch.tensor(0.0), atol=1e-6, rtol=0)
    torch.testing.assert_close(eye_loss(frames, torch.full((2, 5), 2 / 3 - 0.1)), torch.tensor(0.5))


def test_landmarks_by_hand(eyes):
    moved = eyes.clone()
    moved[0, 0, 8] += torch.tensor([3.0, 4.0])  # the chin, 5 pixels: 25 over the 56 points outside the eyes
    moved[0, 0, 37:39, 1] += 0.5  # an upper lid, seen by the eye term alone
    torch.testing.assert_close(outside_eyes_loss(moved, eyes), torch.tensor(25 / 56))
    ratio = (1.5 + 1.0) / 3
    expected = 200 * abs(ratio - 0.5) + 25 / 56
    torch.testing.assert_close(landmark_loss(moved, eyes, torch.full((1, 1), 0.5), 200), torch.tensor(expected))


def test_reading_is_cross_entropy(random):
    sure = torch.tensor([[[50.0, 0.0, 0.0]]])
    torch.testing.assert_close(reading_loss(torch.zeros(1, 1, 3), sure), torch.tensor(math.log(3)))
    assert reading_loss(sure, sure) < 1e-6
    seen = torch.randn(2, 5, 28, generator=random, requires_grad=True)
    heard = torch.randn(2, 5, 28, generator=random, requires_grad=True)
    reading_loss(seen, seen.detach()).backward()
    torch.testing.assert_close(seen.grad, torch.zeros_like(seen), atol=1e-7, rtol=0)
    reading_loss(seen, heard).backward()
    assert heard.grad is None and seen.grad.abs().max() > 1e-3


def test_kl_by_hand():
    zero = torch.zeros(3, 64)
    assert kl_loss(zero, zero) == 0
    torch.testing.assert_close(kl_loss(torch.full((3, 64), 2.0), zero), torch.tensor(64 * 2.0))
    log_variance = torch.full((3, 64), math.log(4.0))
    torch.testing.assert_close(kl_loss(zero, log_variance), torch.tensor(64 * 0.5 * (4 - math.log(4.0) - 1)))


def test_draws_have_the_mean_and_spread_they_are_given(random):
    mean, log_variance = torch.full((20_000, 1), 3.0), torch.full((20_000, 1), math.log(0.25))
    z = reparameterised(mean, log_variance, torch.randn(20_000, 1, generator=random))
    assert z.mean().item() == pytest.approx(3.0, abs=0.02)
    assert z.std().item() == pytest.approx(0.5, abs=0.01)


def test_game_at_indifference_and_at_the_ends():
    made, real, unsure = torch.zeros(2, 8), torch.ones(2, 8), torch.full((2, 8), 0.5)
    assert discriminator_loss(real, made) == 0 and fooling_loss(real) == 0
    torch.testing.assert_close(discriminator_loss(unsure, unsure), torch.tensor(0.5))
    torch.testing.assert_close(fooling_loss(unsure), torch.tensor(0.25))
    assert discriminator_loss(made, real) == 2 and fooling_loss(made) == 1


def test_keypoints_by_hand():
    moved = torch.zeros(2, 15, 3)
    moved[0, 4] = torch.tensor([1.0, -2.0, 3.0])
    torch.testing.assert_close(keypoint_loss(moved, torch.zeros(2, 15, 3)), torch.tensor(6 / 30))


def untouched(network):
    """Names of parameters that no gradient has reached."""
    return [n for n, p in network.named_parameters() if p.grad is None or not p.grad.isfinite().all()] + [
        n for n, p in network.named_parameters() if p.ndim > 1 and p.grad is not None and not p.grad.any()
    ]


def test_expnet_learns_a_clip(random):
    torch.manual_seed(0)
    net = ExpNet(AUDIO)
    windows, face = torch.randn(10, 1, 80, 16, generator=random), torch.randn(10, 64, generator=random)
    blink = torch.rand(2, 5, generator=random)
    basis = torch.randn(64, 68 * 2, generator=random)
    at_rest = 50 * torch.randn(68, 2, generator=random)
    reader = torch.randn(64, 28, generator=random)
    lips = torch.randn(2, 5, 64, generator=random)

    def landmarks_of(exp):
        return at_rest + (exp @ basis).view(2, 5, 68, 2)

    targets = ExpTargets(exp=lips, landmarks=landmarks_of(lips), blink=blink, heard=lips @ reader)

    def step():
        exp = net(windows, face, blink.view(10, 1)).view(2, 5, 64)
        return exp_step(exp, landmarks_of(exp), targets, exp @ reader)

    first = step()
    expected = 2 * first.losses["distill"] + 0.01 * first.losses["landmarks"] + 0.01 * first.losses["read"]
    torch.testing.assert_close(first.total, expected)
    first.total.backward()
    assert untouched(net) == []
    optimiser = adam(net.parameters(), 1e-2)
    for _ in range(60):
        optimiser.zero_grad()
        last = step()
        last.total.backward()
        optimiser.step()
    assert last.losses["distill"] < 0.5 * first.losses["distill"]
    assert last.total < 0.5 * first.total


def test_no_reader_no_reading_term(eyes):
    exp = torch.zeros(1, 1, 64)
    targets = ExpTargets(exp=exp, landmarks=eyes, blink=eye_ratio(eyes))
    step = exp_step(exp, eyes, targets)
    assert set(step.losses) == {"distill", "landmarks"} and step.total == 0


@pytest.fixture
def batch(random):
    return PoseBatch(
        motion=0.1 * torch.randn(2, 32, 6, generator=random).cumsum(1),
        reference=torch.randn(2, 6, generator=random),
        style=torch.tensor([0, 45]),
        windows=torch.randn(2, 32, 1, 80, 16, generator=random),
    )


def test_posevae_learns_motion(random, batch):
    torch.manual_seed(0)
    vae = PoseVAE(POSE, AUDIO)
    vae.audio_encoder.eval()
    makers = [*vae.encoder.parameters(), *vae.decoder.parameters()]

    def made():
        return reconstruct(vae, batch, torch.randn(2, 64, generator=random))

    first = pose_step(made(), batch, vae.discriminator)
    expected = first.losses["mse"] + first.losses["kl"] + 0.7 * first.losses["gan"]
    torch.testing.assert_close(first.total, expected)
    first.total.backward()
    assert untouched(vae.encoder) == [] and untouched(vae.decoder) == []
    assert all(p.grad is None for p in vae.audio_encoder.parameters())
    vae.zero_grad()
    judged = discriminator_step(made(), batch, vae.discriminator)
    judged.total.backward()
    assert untouched(vae.discriminator) == []
    assert all(p.grad is None for p in makers), "judging has changed what makes motion"
    optimisers = adam(makers, 1e-2), adam(vae.discriminator.parameters(), 1e-3)
    for _ in range(15):
        for optimiser, make_step in zip(optimisers, (pose_step, discriminator_step), strict=True):
            optimiser.zero_grad()
            step = make_step(made(), batch, vae.discriminator)
            step.total.backward()
            optimiser.step()
    last = pose_step(made(), batch, vae.discriminator)
    assert last.losses["mse"] < 0.5 * first.losses["mse"]


def test_mapping_net_learns_keypoints(random):
    torch.manual_seed(0)
    net = MappingNet(MappingConfig(n_descriptor=8), 70)
    windows, canonical = torch.randn(3, 70, 27, generator=random), torch.rand(15, 3, generator=random)
    truth = torch.rand(3, 15, 3, generator=random)
    first = mapping_step(keypoints(canonical, net(windows)), truth, {"picture": torch.tensor(2.0)})
    torch.testing.assert_close(first.total, 20 * first.losses["keypoints"] + 2.0)
    first.total.backward()
    # Two parts of the translation are left out of the keypoints, so their rows learn nothing.
    assert untouched(net) == []
    assert not net.heads["t"].weight.grad[[0, 2]].any()
    optimiser = adam(net.parameters(), 1e-2)
    for _ in range(60):
        optimiser.zero_grad()
        last = mapping_step(keypoints(canonical, net(windows)), truth)
        last.total.backward()
        optimiser.step()
    assert last.losses["keypoints"] < 0.3 * first.losses["keypoints"]

"""The contrastive siamese network of the common tutorials, in PyTorch: network, loss, and training by the clock.

Images are uint8 [N, H, W, C] with 0 for paper, as in the package. PyTorch sees float32 [N, C, H, W] in [0, 1].
"""

import copy
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional

FILTERS = (32, 64, 128)
UNITS = 512
MARGIN = 2.0
RATE = 5e-4
AT_ONCE = 500
"""Images embedded at a time."""

Embed = Callable[[np.ndarray], np.ndarray]
"""Takes images, uint8 [N, H, W, C], and returns embeddings [N, D]."""


class Tutorial(nn.Module):
    """Three convolutions and three fully connected layers: images [N, C, H, W] to embeddings [N, D]."""

    def __init__(self, shape: tuple[int, int, int], embedding: int):
        super().__init__()
        height, width, channels = shape
        layers: list[nn.Module] = []
        for filters in FILTERS:
            layers += [nn.Conv2d(channels, filters, 3, padding=1), nn.ReLU(inplace=True), nn.BatchNorm2d(filters)]
            layers += [nn.MaxPool2d(2)]
            channels = filters
        self.convolutions = nn.Sequential(*layers)
        inputs = channels * (height // 2 ** len(FILTERS)) * (width // 2 ** len(FILTERS))
        self.fully_connected = nn.Sequential(
            *(nn.Flatten(), nn.Linear(inputs, UNITS), nn.ReLU(inplace=True)),
            *(nn.Linear(UNITS, UNITS), nn.ReLU(inplace=True), nn.Linear(UNITS, embedding)),
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.fully_connected(self.convolutions(images))


def contrastive_loss(left: torch.Tensor, right: torch.Tensor, same: torch.Tensor) -> torch.Tensor:
    """Return the mean of d² for "same" pairs and of max(0, margin - d)² for others (Hadsell et al. 2006).

    Args:
      left: embeddings [B, D].
      right: embeddings [B, D].
      same: bool [B].
    """
    distance = functional.pairwise_distance(left, right)
    return torch.where(same, distance.square(), functional.relu(MARGIN - distance).square()).mean()


class Trained(NamedTuple):
    """A trained network with the weights of its best epoch.

    Attributes:
      embed: embeds images.
      validation: accuracy after each epoch; the last epoch may have been cut short by the clock.
      steps: updates made.
      seconds: of training and validation.
      parameters: numbers in the network that are trained.
    """

    embed: Embed
    validation: list[float]
    steps: int
    seconds: float
    parameters: int


def train(
    images: np.ndarray,
    epochs: Iterator[Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]],
    validate: Callable[[Embed], float],
    minutes: float,
    seed: int,
    embedding: int,
) -> Trained:
    """Train with Adam until the time is over, and return the network as it was after its best epoch.

    Args:
      images: uint8 [N, H, W, C].
      epochs: batches of each epoch: rows of the left and of the right images, and whether they are the same, bool.
      validate: returns the accuracy by which the epoch is chosen. Its time counts.
      minutes: of training and validation.
      seed: of the weights.
      embedding: length of an embedding.
    """
    torch.manual_seed(seed)
    net = Tutorial(images.shape[1:], embedding)
    optimizer = torch.optim.Adam(net.parameters(), lr=RATE)
    pixels = _as_input(images)
    began, steps, validation, best = time.perf_counter(), 0, [], copy.deepcopy(net.state_dict())

    def is_over() -> bool:
        return time.perf_counter() - began >= 60 * minutes

    def embed(images: np.ndarray) -> np.ndarray:
        net.eval()
        with torch.inference_mode():
            return torch.cat([net(part) for part in _as_input(images).split(AT_ONCE)]).numpy()

    for epoch in epochs:
        net.train()
        for left, right, same in epoch:
            if is_over():
                break
            optimizer.zero_grad(set_to_none=True)
            # One pass for each side, as in the tutorials. Batch normalisation sees each side on its own.
            loss = contrastive_loss(net(pixels[left]), net(pixels[right]), torch.from_numpy(same))
            loss.backward()
            optimizer.step()
            steps += 1
        validation.append(validate(embed))
        print(f"epoch {len(validation)}: validation {validation[-1]:.1%}, {time.perf_counter() - began:.0f} s")
        if validation[-1] == max(validation):
            best = copy.deepcopy(net.state_dict())
        if is_over():
            break
    seconds = time.perf_counter() - began
    net.load_state_dict(best)
    return Trained(embed, validation, steps, seconds, sum(part.numel() for part in net.parameters()))


def _as_input(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float().div(255).contiguous()

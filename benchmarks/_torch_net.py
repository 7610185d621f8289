"""The same network in PyTorch, as a PyTorch user writes it, with weights and gradients copied from and to ours.

Images are [B, C, H, W] here, kernels [out, in, kh, kw]; ours are [B, H, W, C] and [kh, kw, in, out].
"""

import copy
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from siamese_jax.network.siamese import Params
from siamese_jax.specs import NetSpec, PaperSGD

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
torch.set_float32_matmul_precision("high")  # on a GPU JAX multiplies in TF32, too


class Siamese(nn.Module):
    """The paper's twins and weighted L1: two batches of images to logits [B]."""

    def __init__(self, spec: NetSpec, side: int):
        super().__init__()
        layers, channels = [], 1
        for conv in spec.tower.convs.values():
            layers += [nn.Conv2d(channels, conv.filters, conv.size), nn.ReLU(inplace=True)]
            layers += [nn.MaxPool2d(2)] if conv.pool else []
            channels = conv.filters
        self.tower = nn.Sequential(*layers)
        self.fc = nn.Linear(channels * spec.tower.sides(side)["conv4"] ** 2, spec.tower.units)
        self.out = nn.Linear(spec.tower.units, 1)

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """Images [B, 1, H, W] -> embeddings [B, D]."""
        return torch.sigmoid(self.fc(self.tower(images).flatten(1)))

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        """Both twins as one batch, which is faster than one after the other."""
        left, right = self.embed(torch.cat([left, right])).chunk(2)
        return self.compare(left, right)

    def compare(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        """Embeddings [B, D] twice -> logits [B]."""
        return self.out((left - right).abs())[:, 0]

    def layers(self) -> dict[str, nn.Module]:
        """The layers with parameters, by our names."""
        convs = [layer for layer in self.tower if isinstance(layer, nn.Conv2d)]
        return {**{f"conv{i}": conv for i, conv in enumerate(convs, start=1)}, "fc": self.fc, "out": self.out}

    def load_ours(self, params: Params) -> "Siamese":
        """Copy our parameters into this network, moves it to the device, and returns it."""
        height = int((self.fc.in_features / params["conv4"]["bias"].size) ** 0.5)
        with torch.no_grad():
            for name, layer in self.layers().items():
                layer.weight.copy_(torch.from_numpy(_to_torch(name, _weight(params[name]), height)))
                layer.bias.copy_(torch.from_numpy(np.array(params[name]["bias"])))
        return self.to(DEVICE)

    def logits_of(self, left: Any, right: Any) -> np.ndarray:
        """Logits [B] of images in our order of axes."""
        with torch.inference_mode():
            return self(images(left), images(right)).cpu().numpy()

    def parameters_by_layer(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """A copy of weight and bias of each layer, as `as_theirs` returns ours."""
        return {name: (_copy(layer.weight), _copy(layer.bias)) for name, layer in self.layers().items()}

    def gradients_by_layer(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """A copy of the gradients of weight and bias of each layer."""
        return {name: (_copy(layer.weight.grad), _copy(layer.bias.grad)) for name, layer in self.layers().items()}


class TrialScorer:
    """Scores one-shot trials of supports and queries [runs, 20, 1, H, W] in inference mode."""

    def __init__(self, net: Siamese, support: torch.Tensor, query: torch.Tensor, memory_format: str):
        self._layout = {"memory_format": FORMATS[memory_format]}
        self._net = copy.deepcopy(net).eval().to(**self._layout)
        self._support, self._query = support, query

    @torch.inference_mode()
    def trial_by_trial(self, trials: int) -> np.ndarray:
        """Scores [trials, n_way] of the first trials, each as a batch of pairs of images; nothing is kept."""
        queries = self._query.flatten(0, 1)[:trials]
        scores = []
        for trial, query in enumerate(queries):
            right = self._support[trial // self._query.shape[1]].contiguous(**self._layout)
            left = query.expand_as(right).contiguous(**self._layout)
            scores.append(self._net(left, right).cpu().numpy())
        return np.stack(scores)

    @torch.inference_mode()
    def cached(self, batch: int) -> np.ndarray:
        """Scores [runs, queries, n_way] of all trials; each image is embedded once, so many at a time."""
        images = torch.cat([self._support, self._query]).flatten(0, 1)
        parts = [self._net.embed(part.contiguous(**self._layout)) for part in images.split(batch)]
        support, query = torch.cat(parts).unflatten(0, (-1, self._support.shape[1])).chunk(2)
        scores = [self._net.out((s[None] - q[:, None]).abs())[..., 0] for s, q in zip(support, query, strict=True)]
        return torch.stack(scores).cpu().numpy()


def as_theirs(params: Params) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Our parameters, or their gradients, with axes in PyTorch's order."""
    height = int((params["fc"]["kernel"].shape[0] / params["conv4"]["bias"].size) ** 0.5)
    return {name: (_to_torch(name, _weight(layer), height), np.array(layer["bias"])) for name, layer in params.items()}


def images(ours: Any) -> torch.Tensor:
    """Images [B, H, W, C] -> [B, C, H, W] on the device."""
    return torch.from_numpy(np.array(ours)).permute(0, 3, 1, 2).contiguous().to(DEVICE)


def sgd(net: Siamese, spec: PaperSGD) -> torch.optim.Optimizer:
    """The paper's optimizer as it is in the first epoch; at a constant rate PyTorch's momentum is the paper's."""
    groups = []
    for name, layer in net.layers().items():
        rule = spec.layers[name]
        groups.append({"params": [layer.weight], "lr": rule.learning_rate, "weight_decay": 2 * rule.l2})
        groups.append({"params": [layer.bias], "lr": rule.learning_rate})
    return torch.optim.SGD(groups, momentum=spec.initial_momentum, fused=True)


def make_step(
    net: Siamese, optimizer: torch.optim.Optimizer, left: torch.Tensor, right: torch.Tensor, same: Any
) -> Callable[[], None]:
    """Return a callable that makes one update from a batch on the device, and waits for it."""
    same = torch.from_numpy(np.array(same)).to(DEVICE)

    def step() -> None:
        update(net, optimizer, left, right, same)
        wait()

    return step


def update(
    net: Siamese, optimizer: torch.optim.Optimizer, left: torch.Tensor, right: torch.Tensor, same: torch.Tensor
) -> None:
    """Make one update from a batch."""
    optimizer.zero_grad(set_to_none=True)
    functional.binary_cross_entropy_with_logits(net(left, right), same).backward()
    optimizer.step()


def wait() -> None:
    """Return when the device has done all it was given."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()


def faster(sides: Mapping[str, Callable[[], Any]], choice: str = "auto") -> str:
    """Return the name of the fastest side, the better of two runs after a warm-up; or `choice` unless it is "auto"."""
    if choice != "auto":
        return choice

    def seconds(side: Callable[[], Any]) -> float:
        began = time.perf_counter()
        side()
        return time.perf_counter() - began

    for side in sides.values():
        side()
    return min(sides, key=lambda name: min(seconds(sides[name]) for _ in range(2)))


def _copy(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().contiguous().numpy().copy()


def _weight(layer: Mapping[str, Any]) -> np.ndarray:
    return np.array(layer["weight"] if "weight" in layer else layer["kernel"])


def _to_torch(name: str, weight: np.ndarray, height: int) -> np.ndarray:
    if name == "fc":  # ours flattens [H, W, C], theirs [C, H, W]
        units = weight.shape[1]
        return weight.reshape(height, height, -1, units).transpose(3, 2, 0, 1).reshape(units, -1).copy()
    return (weight.transpose(3, 2, 0, 1) if weight.ndim == 4 else weight.T).copy()

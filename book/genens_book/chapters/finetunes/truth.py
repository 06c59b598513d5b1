"""What retraining says: fine-tunes on all private images, without each of them, and on random halves of them.

    python -m genens_book.chapters.finetunes.truth trained/finetunes --out weights/signs_truth

reads the ensembles of `bench/finetunes.yml` and keeps what the chapter asks of them: the samples of a
network fine-tuned on all images, how each of them moves without an image, under several seeds of training, and the
denoising losses of these samples in networks fine-tuned on halves. The networks themselves, hundreds of megabytes, are
not shipped; the command that trains them again takes hours.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from genens import files, finetunes, provenance, sampling, store
from genens.finetunes import FineTunes
from genens.recipe import recipe_of
from genens.schedules import Schedule, schedule
from genens_book.chapters.finetunes import gradients

FILE = "truth.safetensors"
REPEATS = 2  # of these seeds, under which each image was left out
SEEDS, SAMPLES, STEPS, NOISE_SEED, LOSS_SEED = 3, 16, 20, 0, 1


@dataclass(frozen=True)
class Truth:
    """By seed of training: y (S, B, C, H, W), the samples of a network fine-tuned on all N images; lengths (R, N, B), R
    of the seeds, how far each moves without an image, and moved (N, B, C, H, W), how, under the first seed. masks:
    bool (N, H), the images of the halves; losses (S, H, B), of the first seed's samples, in networks fine-tuned on
    these. steps: the number of denoising steps. All float32."""

    y: Tensor
    lengths: np.ndarray
    moved: Tensor
    masks: np.ndarray
    losses: np.ndarray
    manifest: Mapping

    @property
    def steps(self) -> Schedule:
        """Of these samples."""
        return schedule(self.manifest["steps"])

    def first(self, samples: int, members: FineTunes, steps: Schedule) -> Truth:
        """Of the first samples only. ValueError for more than there are, and unless these members are fine-tunes of the
        same base on the same images and these the steps."""
        for name in ("base", "data"):
            if self.manifest[name] != members.manifest[name]:
                raise ValueError(f"expected the {name} that was retrained on, {self.manifest[name][:12]}; got another")
        if len(steps) != self.manifest["steps"] or samples > self.y.shape[1]:
            raise ValueError(
                f"expected at most {self.y.shape[1]} samples of {self.manifest['steps']} steps, which retraining was "
                f"asked about; got {samples} of {len(steps)}"
            )
        part = slice(samples)
        losses = self.losses[..., part]
        return Truth(self.y[:, part], self.lengths[..., part], self.moved[:, part], self.masks, losses, self.manifest)

    def without(self, rows: np.ndarray) -> np.ndarray:
        """Each sample as retrained without an image of its own, rows (B,): (B, C, H, W)."""
        return (self.y[0] + self.moved[torch.from_numpy(rows), torch.arange(len(rows))]).numpy()

    def among(self, rows: np.ndarray, k: int) -> np.ndarray:
        """Of lists, rows (B, K), which images are among the k that move the sample most: bool (B, K)."""
        best = np.argsort(-self.lengths[0], axis=0)[:k].T  # (B, k)
        return (rows[:, :, None] == best[:, None]).any(axis=2)

    def noise(self, members: FineTunes) -> sampling.Noise:
        """The exogenous noise of these samples."""
        return sampling.Noise(self.manifest["noise_seed"], range(self.y.shape[1]), members.shape, len(self.steps))


def draws(indices: Sequence[int], members: FineTunes, steps: Schedule, samples: int, seed: int) -> dict[str, Tensor]:
    """To be stored: {"y": (K, B, C, H, W)}, what the members `indices`, each by itself, draw from the same noise."""
    noise = sampling.Noise(seed, range(samples), members.shape, len(steps))
    return {"y": sampling.sample(members, noise, steps, np.eye(members.n)[list(indices)])}


def losses(indices: Sequence[int], members: FineTunes, images: Tensor, seed: int) -> dict[str, np.ndarray]:
    """To be stored: {"losses": (K, B)}, of images (B, C, H, W) in the members `indices`, each by itself."""
    return {
        "losses": np.stack([gradients.losses(members.network(np.eye(members.n)[i]), images, seed) for i in indices])
    }


def lacking(codes: np.ndarray) -> np.ndarray:
    """Of codes (N, N) of weight N - 1, the member that lacks each image: int64 (N,). ValueError for any others."""
    if codes.shape[0] != codes.shape[1] or (codes.sum(axis=0) != len(codes) - 1).any() or codes.all(axis=1).any():
        raise ValueError(f"expected codes that leave out each image once, got shape {codes.shape}")
    return np.argmin(codes, axis=1)


def gather(folder: Path) -> tuple[dict[str, np.ndarray], dict]:
    """The arrays of `Truth`, and its manifest, from the ensembles in a folder."""
    steps = schedule(STEPS)
    found: dict[str, list] = {"y": [], "lengths": [], "losses": []}
    given, asked = dict(steps=steps, samples=SAMPLES, seed=NOISE_SEED), dict(seed=LOSS_SEED)
    made, moved, masks = {}, None, None

    def ensemble(name: str, seed: int) -> FineTunes:
        one = finetunes.load(folder / f"{name}_{seed}")
        made[f"{name}_{seed}"] = asdict(recipe_of(one.manifest))
        return one

    for seed in range(SEEDS):
        whole, halves = ensemble("all", seed), ensemble("halves", seed)
        y = torch.from_numpy(store.compute(draws, indices=range(1), members=whole, **given)["y"][0])
        asked.setdefault("images", y)  # the same in all networks
        at = store.chunked(losses, halves.n, 16, members=halves, **asked)["losses"]
        found["y"].append(y.numpy())
        found["losses"].append(at.astype(np.float32))
        masks = halves.codes if masks is None else masks
        if seed < REPEATS:
            without = ensemble("without", seed)
            each = store.chunked(draws, without.n, 16, members=without, **given)["y"]
            change = torch.from_numpy(each[lacking(without.codes)]) - y
            moved = change.half().numpy() if moved is None else moved
            found["lengths"].append(change.flatten(2).norm(dim=2).numpy())
    arrays = {name: np.stack(values) for name, values in found.items()} | {"moved": moved, "masks": masks}
    about = {"steps": STEPS, "noise_seed": NOISE_SEED, "loss_seed": LOSS_SEED, "recipes": made}
    return arrays, about | {
        "base": whole.manifest["base"],
        "data": whole.manifest["data"],
        "made": provenance.describe(),
    }


def load(folder: str | Path) -> Truth:
    """What `main` wrote. Raises FileNotFoundError when a file is missing, ValueError, which names it, when one is
    damaged."""
    manifest, contents = files.read_folder(folder)
    with files.expecting("what retraining says, finite", Path(folder) / FILE, files.RESTORE):
        found = files.arrays_from_bytes(contents[FILE], Path(folder) / FILE)
        y, moved = (torch.from_numpy(found[name].astype(np.float32)) for name in ("y", "moved"))
        truth = Truth(y, found["lengths"], moved, found["masks"].astype(bool), found["losses"], manifest)
        (S, B), (N, H), R = y.shape[:2], truth.masks.shape, len(truth.lengths)
        shapes = (
            truth.lengths.shape == (R, N, B) and moved.shape == (N, *y.shape[1:]) and truth.losses.shape == (S, H, B)
        )
        if not shapes or not all(np.isfinite(found[name]).all() for name in ("y", "moved", "lengths", "losses")):
            raise ValueError("NaN or infinity, or arrays of other numbers of images, samples or seeds")
        schedule(manifest["steps"])
    return truth


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        "python -m genens_book.chapters.finetunes.truth", description=__doc__.splitlines()[0]
    )
    parser.add_argument("folder", type=Path, help="where the ensembles lie")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write")
    given = parser.parse_args(arguments)
    try:
        arrays, about = gather(given.folder)
        files.write_folder(given.out, {FILE: files.arrays_to_bytes(arrays)}, about)
    except (OSError, ValueError) as problem:
        sys.exit(f"genens_book.chapters.finetunes.truth: {problem}")


if __name__ == "__main__":
    from genens_book.chapters.finetunes import truth  # results are stored under the module's name, here __main__

    truth.main()

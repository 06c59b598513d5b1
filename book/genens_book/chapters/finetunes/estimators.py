"""What a private image did to a sample, worked out from fine-tunes whose codes say who has seen it.

Let a member's change of weights be a sum over the images it has, d_i = c + sum_x b_ix beta_x + rest. A decoder is a
matrix W (N, n) whose rows sum to 0: the effect of image x on the weights is sum_i W_xi d_i, and on a sample, what that
change of the weights does to it. The ablation is a decoder too, the matched filter; ridge regression takes into account
that codes overlap.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from genens.finetunes import Averaged
from genens.sampling import Noise, sample
from genens.schedules import Schedule
from genens_book.measures import stats

PENALTIES = np.geomspace(1e-4, 1e2, 25)  # of a ridge, in units of the mean eigenvalue


def matched(codes: np.ndarray) -> np.ndarray:
    """The mean of the members that have an image less the mean of the others, of codes bool (N, n): (N, n). -h_x / n of
    it is the ablation, u_-x - u_0. NaN in the rows of images that all members have, or none."""
    have = codes.sum(axis=1, keepdims=True).astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(codes, 1 / have, -1 / (codes.shape[1] - have))


def ridge(codes: np.ndarray, gram: np.ndarray, penalty: float | None = None) -> np.ndarray:
    """The decoder of a ridge regression with an intercept of the members on their codes, bool (N, n): (N, n).

    gram (n, n): the products of the members' values (their weights' changes, their samples) with each other. penalty in
    units of the codes' mean eigenvalue; None takes the one of PENALTIES that predicts left-out members best.
    """
    fit = _Ridge(codes, gram)
    return fit.decoder(min(PENALTIES, key=fit.missed) if penalty is None else penalty)


def unexplained(codes: np.ndarray, gram: np.ndarray) -> float:
    """The share of the members' variance by which a ridge regression, at its best penalty, misses left-out members.
    Arguments as for `ridge`."""
    fit = _Ridge(codes, gram)
    n = codes.shape[1]
    return min(map(fit.missed, PENALTIES)) / (
        np.trace(fit.gram) * (n / (n - 1)) ** 2
    )  # what the mean of the others misses


class _Ridge:
    """Ridge regressions of one ensemble at any penalty, from one decomposition of its codes."""

    def __init__(self, codes: np.ndarray, gram: np.ndarray):
        C = (codes - codes.mean(axis=1, keepdims=True)).T  # (n, N)
        U, size, V = np.linalg.svd(C, full_matrices=False)
        self.U, self.size, self.V = (part[..., size > 1e-9 * size[0]] for part in (U, size, V.T))
        self.gram = gram - gram.mean(axis=0) - gram.mean(axis=1, keepdims=True) + gram.mean()
        self.GU = self.gram @ self.U
        self.UGU = self.U.T @ self.GU

    def _penalty(self, penalty: float) -> float:
        return penalty * np.square(self.size).mean()

    def decoder(self, penalty: float) -> np.ndarray:
        return self.V @ (self.size / (self.size**2 + self._penalty(penalty)) * self.U).T

    def missed(self, penalty: float) -> float:
        """The sum of the squared lengths by which the fit of all others misses a member."""
        kept = self.U * (self.size**2 / (self.size**2 + self._penalty(penalty)))
        squares = np.diag(self.gram) - 2 * (kept * self.GU).sum(axis=1) + ((kept @ self.UGU) * kept).sum(axis=1)
        left = 1 - 1 / len(self.U) - (kept * self.U).sum(axis=1)
        return float((squares / np.maximum(left, 1e-9) ** 2).sum())


def decoys(codes: np.ndarray, gram: np.ndarray, others: np.ndarray, penalty: float) -> tuple[np.ndarray, np.ndarray]:
    """Whether images have effects at all: the squared lengths of what a ridge regression gives each of them (N,), and
    of what it would give them had each got another code (N, K).

    codes: bool (N, n), gram (n, n) as for `ridge`; others: bool (K, n), codes that no image got, drawn as theirs were;
    penalty: of a regression, in units of the codes' mean eigenvalue. An image without effect is exchangeable with
    itself under another code, so that the rank of its length among those has a p-value that is exact, whatever the
    other images do, if the penalty does not depend on the codes.
    """
    C, D = ((side - side.mean(axis=1, keepdims=True)).T for side in (codes, others))  # (n, N), (n, K)
    G = gram - gram.mean(axis=0) - gram.mean(axis=1, keepdims=True) + gram.mean()
    size = np.square(C).sum() / min(len(C) - 1, C.shape[1])
    M = np.linalg.inv(C @ C.T + penalty * size * np.eye(len(C)))
    MC, MD = M @ C, M @ D
    GMC = G @ MC
    own, between, theirs = (C * MC).sum(axis=0), C.T @ MD, (D * MD).sum(axis=0)  # (N,), (N, K), (K,)
    kept = 1 - own  # M without image x is M + MC_x MC_x' / kept_x
    lengths = (MC * GMC).sum(axis=0)
    turned = between / kept[:, None]
    crossed = (MD * (G @ MD)).sum(axis=0) + 2 * turned * (GMC.T @ MD) + turned**2 * lengths[:, None]
    return lengths, crossed / (1 + theirs + between * turned) ** 2


def sparse(codes: np.ndarray, values: np.ndarray, share: float = 0.1) -> np.ndarray:
    """The effects (N, m) of images on what members have, values (n, m), few of them other than 0: a group lasso, whose
    penalty is a share of the one at which nothing is left. codes: bool (N, n)."""
    C = (codes - codes.mean(axis=1, keepdims=True)).T
    return stats.group_lasso(C, values - values.mean(axis=0), share)


def drawn(members: Averaged, changes: Tensor, noise: Noise | Tensor, steps: Schedule) -> Tensor:
    """The samples of the networks whose weights are the base's plus changes (K, Q): (K, B, C, H, W). In plain PyTorch,
    which is done with a few samples before a network is compiled."""
    code, rank = np.zeros((1, len(changes)), bool), members.manifest["rank"]
    return sample(Averaged(members.base, changes, code, members.shape, rank=rank), noise, steps, np.eye(len(changes)))


def decoded(decoder: np.ndarray, differences: Tensor) -> Tensor:
    """The effect of every image on the weights: (N, P), of a decoder (N, n) and differences (n, P)."""
    return torch.from_numpy(decoder).to(differences) @ differences


def products(values: Tensor) -> np.ndarray:
    """The Gram matrix (n, n) of rows (n, P), in float64."""
    return (values.double() @ values.double().T).numpy()


# ---------------------------------------------------------------- how good they are


def norms(changes: Tensor) -> np.ndarray:
    """Of changes (N, B, C, H, W) their lengths: (N, B)."""
    return changes.flatten(2).norm(dim=2).numpy()


def hit(found: np.ndarray, true: np.ndarray, k: int = 1) -> np.ndarray:
    """Of scores (N, B): the share of the k truly largest that are among the k largest found, for each sample (B,)."""
    best = [np.argsort(-one, axis=0, kind="stable")[:k] for one in (found, true)]
    return np.array([len({*a} & {*b}) / k for a, b in zip(*(one.T.tolist() for one in best), strict=True)])


def cosine(found: Tensor, true: Tensor) -> np.ndarray:
    """Of changes (N, B, C, H, W): the mean cosine over images, for each sample (B,)."""
    return torch.nn.functional.cosine_similarity(found.flatten(2), true.flatten(2), dim=2).mean(0).numpy()

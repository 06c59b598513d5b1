"""Encoded ensembles of diffusion models: training data attribution by construction (Dai and Gifford 2023).

    import genens as ge

    members = ge.load_ensemble("weights/mnist16")                       # n members and the code of every image
    steps = ge.schedule(20)                                             # 20 denoising steps out of 1000
    noise = ge.Noise(0, range(8), members.shape, len(steps))            # the exogenous noise of eight samples
    y = ge.sample(members, noise, steps)[0]                             # the samples
    without = ge.counterfactuals(members, noise, steps, members.codes, [42])[0]  # had image 42 not been there
    _, J = ge.jacobian(members, noise, steps, per_step=1)               # dy/dv, v the members' weights
    rows = ge.top_k(ge.gram(J), members.codes, 10).rows                 # the ten images that matter most to each

The order of arguments is the same everywhere: members, noise, steps, mixture. Names are loaded when they are first
asked for; a module can be imported by its own name as well (`from genens import codes`).
"""

from importlib import import_module

__version__ = "0.1.0"

_HOME = {
    "load_dataset": "data.load",
    "Recipe": "recipe.Recipe",
    "train_ensemble": "train.train_ensemble",
    "load_ensemble": "ensemble.load",
    "constant_weight": "codes.constant_weight",
    "walsh": "codes.walsh",
    "uniform": "codes.uniform",
    "ablated": "codes.ablated",
    "guarantee": "theory.guarantee.guarantee",
    "schedule": "schedules.schedule",
    "Noise": "sampling.Noise",
    "sample": "sampling.sample",
    "counterfactuals": "sampling.counterfactuals",
    "jacobian": "jacobians.jacobian",
    "gram": "jacobians.gram",
    "influence": "attribution.influence",
    "top_k": "attribution.top_k",
}
__all__ = [*_HOME]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; its names are {', '.join(_HOME)}")
    module, _, attribute = _HOME[name].rpartition(".")
    return getattr(import_module(f"{__name__}.{module}"), attribute)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])

"""Encoded ensembles of diffusion models: training data attribution by construction (Dai and Gifford 2023).

The pipeline in five lines:

    members = ensemble.load(ensemble.locate("mnist7", "laptop"))       # n members and the code of every image
    steps = schedule.schedule(25)                                       # 25 denoising steps out of 1000
    noise = sample.Noise(0, range(8), members.shape, len(steps))        # the exogenous noise of eight samples
    mixtures = [codes.uniform(members.n), codes.ablated(members.codes, 42)]
    y, without = sample.sample(members, noise, mixtures, steps)         # the samples, and had image 42 not been there

Modules are imported by name (`from genens import codes`); importing the package imports none of them.
"""

__version__ = "0.1.0"

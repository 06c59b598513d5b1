"""Exact unlearning: the fine-tunes that never had some images, as one network, with a certificate.

    python -m genens.unlearn weights/signs --images 17 40 --out without     # write the network, print the certificate
    python -m genens.unlearn weights/signs --check without                  # work it out again, and compare

To remove images is to choose a mixture: equal weights on the members that had none of them. Nothing is trained. What
the base has seen is outside of it: images that were in its own training are not removed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from genens import codes as coding
from genens import data, ensemble, files, finetunes, provenance
from genens.ensemble import Ensemble
from genens.finetunes import FineTunes
from genens.recipe import trained_on

OUTSIDE = (
    "The base was trained before, on images of its own. If a removed image, or a copy of it, was among those, or is "
    "among the images that stay, what was learned from it there is not removed."
)


def unlearned(members: FineTunes, rows: Sequence[int]) -> Ensemble:
    """The one network, as an ensemble of one, of the members that had none of the images `rows` (K,). Raises ValueError
    when there is no such member, and for rows that are not there."""
    return members.mean(coding.ablated(members.codes, rows))


def certificate(members: FineTunes, images: data.Dataset, rows: Sequence[int]) -> dict[str, object]:
    """What was removed, by the sha256 of its pixels, uint8 (C, H, W); which members stay, with the number and a digest
    of the images that each was trained on; and whether any of those is a copy of what was removed, JSON-able.

    Raises ValueError as `unlearned`, and if the members were trained on other images.
    """
    if images.digest != members.manifest["data"]:
        raise ValueError("expected the images that the members were trained on, got others: restore them")
    stays = np.flatnonzero(coding.ablated(members.codes, rows))
    hashes = np.array([hashlib.sha256(image.numpy().tobytes()).hexdigest() for image in images.images])
    gone = {int(row): str(hashes[row]) for row in rows}
    sets = [np.flatnonzero(members.codes[:, i]) for i in stays]
    return {
        "removed": gone,
        "members": stays.tolist(),
        "trained_on": [{"images": len(mine), "digest": files.digest(sorted(hashes[mine].tolist()))} for mine in sets],
        "removed_image_in_any": any(np.isin([*gone], mine).any() for mine in sets),
        "copy_of_it_in_any": any(np.isin(hashes[mine], [*gone.values()]).any() for mine in sets),
        "ensemble": files.digest({name: entry["sha256"] for name, entry in members.manifest["files"].items()}),
        "base": members.manifest["base"],
        "outside": OUTSIDE,
    }


def write(folder: str | Path, network: Ensemble, said: Mapping, shape: Sequence[int]) -> None:
    """Write the network and its certificate as one folder, an ensemble that `ensemble.load` takes; float32."""
    (model,) = network.models
    about = {"unet": model.config.to_dict(), "shape": list(shape), "certificate": said, "made": provenance.describe()}
    ensemble.save(folder, [dict(model.named_parameters())], network.codes, about, dtype=ensemble.PRECISIONS["float32"])


def check(folder: str | Path, members: FineTunes, images: data.Dataset) -> dict[str, object]:
    """The certificate in a folder that `write` wrote, worked out again. Raises ValueError unless it says the same and
    the network is, to the last bit, that of the members that stay."""
    found = ensemble.load(folder)
    with files.expecting("a certificate", Path(folder) / "manifest.json", files.RESTORE):
        said = found.manifest["certificate"]
        rows = [int(row) for row in said["removed"]]
    again, network = certificate(members, images, rows), unlearned(members, rows).models[0]
    if json.loads(files.canonical(again)) != json.loads(files.canonical(said)):
        raise ValueError(
            f"expected {folder} to say what these members say, but its certificate is of others, or edited"
        )
    pairs = zip(found.models[0].parameters(), network.parameters(), strict=True)
    if not all(one.equal(other) for one, other in pairs):
        raise ValueError(f"expected in {folder} the mean of the members that stay, found another network")
    return said


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 2, and one line, for whatever raises a ValueError or an OSError."""
    parser = argparse.ArgumentParser("python -m genens.unlearn", description=__doc__.splitlines()[0])
    parser.add_argument("members", type=Path, help="the folder of the fine-tunes")
    parser.add_argument("--images", type=int, nargs="+", help="the numbers of the images to remove")
    parser.add_argument("--out", type=Path, help="where the network and its certificate go")
    parser.add_argument("--check", type=Path, help="such a folder, to be worked out again")
    given = parser.parse_args(arguments)
    try:
        if not given.check and not (given.images and given.out):
            raise ValueError("expected --images and --out, or --check, got neither")
        members = finetunes.load(given.members)
        images = trained_on(members.manifest)
        if given.check:
            said = check(given.check, members, images)
        else:
            said = certificate(members, images, given.images)
            write(given.out, unlearned(members, given.images), said, members.shape)
    except (ValueError, OSError) as problem:
        print(f"genens.unlearn: {problem}", file=sys.stderr)
        return 2
    print(json.dumps(said, indent=1, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())

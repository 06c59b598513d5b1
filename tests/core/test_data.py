"""Datasets: what comes out for good input, and the one line that comes out for bad input."""

from __future__ import annotations

import hashlib
import os
import pickle  # only to write the CIFAR-10 files that torchvision reads
import shutil
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support import celeba
from torchvision import datasets as tv

from bench.faults.images import eps
from genens import codes, data, pictures
from genens.recipe import Recipe

pytestmark = pytest.mark.filterwarnings("ignore:.*identical to others")  # many of these pictures are

CLASSES = [0, 1, 2, 3, 4, 6, 8]
DIGEST = "69fdaa6b10ec3fe58f8daff783216e99ab0dc76d42fc5dc19c1f2a8221d2f41c"


def pixels(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def write(path: Path, array: np.ndarray, **options) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)
    return array


def test_mnist_is_the_test_split():
    digits = data.load("mnist")
    assert digits.images.shape == (10_000, 1, 28, 28) and digits.images.dtype == torch.uint8
    assert len(digits) == 10_000 and digits.labels.dtype == torch.int64
    assert digits.labels[:5].tolist() == [7, 2, 1, 0, 4]
    assert digits.labels.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert digits.classes == tuple("0123456789")
    assert digits.digest == DIGEST


def test_the_class_splits_have_the_papers_sizes():
    """Paper, Section B.1: 7071 images, seven splits."""
    digits = data.load("mnist").select(CLASSES)
    image_codes = codes.by_class(codes.walsh(8), digits.labels, CLASSES)
    assert len(digits) == 7071
    assert codes.split_sizes(image_codes).tolist() == [3103, 2972, 3016, 3147, 3091, 2912, 2972]


def test_select_keeps_order_and_labels_and_take_the_first():
    digits = data.load("mnist").take(50)
    chosen = digits.select([4, 1])
    where = [i for i, label in enumerate(digits.labels.tolist()) if label in (1, 4)]
    assert torch.equal(chosen.images, digits.images[where])
    assert torch.equal(chosen.labels, digits.labels[where])
    assert torch.equal(digits.take(3).images, digits.images[:3])


def test_digest_is_of_pixels_and_labels_only():
    digits = data.load("mnist").take(5)
    assert digits.digest == replace(digits, name="other", classes=("x",)).digest
    assert digits.digest == replace(digits, images=digits.images.permute(0, 1, 3, 2).clone().mT).digest
    changed = digits.images.clone()
    changed[4, 0, 27, 27] += 1
    others = {
        replace(digits, images=changed).digest,
        replace(digits, labels=digits.labels + 1).digest,
        replace(digits, images=digits.images.reshape(5, 1, 14, 56)).digest,
        digits.take(4).digest,
    }
    assert len(others | {digits.digest}) == 5
    with pytest.raises(FrozenInstanceError):
        digits.name = "mine"


def test_to_unit_and_back_is_exact():
    every = torch.arange(256, dtype=torch.uint8)
    assert data.to_unit(every).dtype == torch.float32
    assert data.to_unit(every)[[0, 255]].tolist() == [-1, 1]
    assert torch.equal(data.to_uint8(data.to_unit(every)), every)
    assert data.to_uint8(torch.tensor([-7.0, 7.0])).tolist() == [0, 255]


def test_folder_with_class_folders(tmp_path):
    cats = [write(tmp_path / "cat" / f"{i}.PNG", pixels(5, 7, 3, seed=i)) for i in range(2)]
    ant = write(tmp_path / "ant" / "z.png", pixels(5, 7, 3, seed=9))
    (tmp_path / ".cache").mkdir()
    (tmp_path / "cat" / "._0.png").write_bytes(b"not an image")
    (tmp_path / "notes.txt").write_text("not an image")
    animals = data.load(f"folder:{tmp_path}")
    assert animals.classes == ("ant", "cat") and animals.labels.tolist() == [0, 1, 1]
    assert animals.name == tmp_path.name
    assert torch.equal(animals.images, torch.from_numpy(np.stack([ant, *cats]).transpose(0, 3, 1, 2).copy()))


def test_several_sets_are_joined_and_their_labels_count_on(tmp_path):
    for name in "ab":
        write(tmp_path / name / "0.png", pixels(28, 28))
    digits, joined = data.load("mnist"), data.load(f"mnist + folder:{tmp_path}")
    assert joined.labels[-3:].tolist() == [int(digits.labels[-1]), 10, 11] and joined.classes[9:] == ("9", "a", "b")
    assert torch.equal(joined.images[:10_000], digits.images)
    assert torch.equal(joined.images[-1, 0], joined.images[-2, 0])
    assert joined.name == f"MNIST test + {tmp_path.name}"
    with pytest.raises(ValueError, match=r"of one size in MNIST test and .* got \(1, 14, 14\) and \(3, 28, 28\)"):
        write(tmp_path / "c" / "0.png", pixels(28, 28, 3))
        data._joined([data.load("mnist", size=14), data.load(f"folder:{tmp_path}")])


def test_flat_folder_is_one_class_and_grey_stays_grey(tmp_path):
    grey = [write(tmp_path / f"{i}.png", pixels(4, 4, seed=i)) for i in range(3)]
    found = data.load(f"folder:{tmp_path}")
    assert found.labels.tolist() == [0, 0, 0] and found.classes == (tmp_path.name,)
    assert torch.equal(found.images[:, 0], torch.from_numpy(np.stack(grey)))


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")])
def test_grey_among_rgb_becomes_rgb(tmp_path, names):
    grey, colour = (tmp_path / f"{name}.png" for name in names)
    written = write(grey, pixels(4, 4))
    write(colour, pixels(4, 4, 3))
    images = data.load(f"folder:{tmp_path}").images
    assert images.shape == (2, 3, 4, 4)
    assert (images["ab".index(names[0])].numpy() == written).all()


def test_kinds_of_png_that_say_the_same_as_grey_or_rgb(tmp_path):
    rgb = Image.fromarray(pixels(6, 6, 3))
    rgb.convert("RGBA").save(tmp_path / "opaque.png")
    rgb.quantize(16).save(tmp_path / "palette.png")
    rgb.convert("1").save(tmp_path / "bits.png")
    images = data.load(f"folder:{tmp_path}").images
    assert torch.equal(images[1], torch.from_numpy(np.asarray(rgb).transpose(2, 0, 1).copy()))
    assert set(images[0].unique().tolist()) == {0, 255}


def test_an_image_is_turned_as_its_exif_says(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # quarter turn clockwise
    lying = write(tmp_path / "a.png", pixels(4, 6), exif=exif)
    assert np.array_equal(data.load(f"folder:{tmp_path}").images[0, 0].numpy(), np.rot90(lying, -1))


def test_size_crops_the_centre_and_resizes(tmp_path):
    write(tmp_path / "wide.png", np.repeat(np.array([[0] * 3 + [200] * 8 + [0] * 3], np.uint8), 8, axis=0))
    write(tmp_path / "tall.png", np.full((9, 8), 200, np.uint8))
    images = data.load(f"folder:{tmp_path}", size=4).images
    assert images.shape == (2, 1, 4, 4) and (images == 200).all()
    assert data.load("mnist", size=14).images.shape == (10_000, 1, 14, 14)


def cifar_batch(path: Path, rows: np.ndarray, labels: list[int]) -> None:
    path.write_bytes(pickle.dumps({"data": rows, "labels": labels}))


@pytest.fixture
def cifar(tmp_path, monkeypatch):
    """A small CIFAR-10 in torchvision's format, whose list of checksums is replaced by that of these files: its root,
    and pixels and labels as they lie in the files."""
    base = tmp_path / "root" / tv.CIFAR10.base_folder
    base.mkdir(parents=True)
    names = [name for name, _ in tv.CIFAR10.train_list + tv.CIFAR10.test_list]
    rows, labels = [pixels(4, 3072, seed=i) for i in range(6)], [[9 - i, i, 3, i] for i in range(6)]
    for name, pixel, label in zip(names, rows, labels, strict=True):
        cifar_batch(base / name, pixel, label)
    (base / "batches.meta").write_bytes(pickle.dumps({"label_names": tv_classes()}))

    def sums(listed):
        return [[name, hashlib.md5((base / name).read_bytes()).hexdigest()] for name in listed]

    monkeypatch.setattr(tv.CIFAR10, "train_list", sums(names[:5]))
    monkeypatch.setattr(tv.CIFAR10, "test_list", sums(names[5:]))
    monkeypatch.setattr(tv.CIFAR10, "meta", tv.CIFAR10.meta | {"md5": sums(["batches.meta"])[0][1]})
    return tmp_path / "root", np.concatenate(rows).reshape(-1, 3, 32, 32), np.concatenate(labels).tolist()


def by_split_and_class(labels):
    """Rows in the order of the data set: training split first, each by class, the images of a class as they came."""
    return sorted(range(24), key=lambda row: (row >= 20, labels[row], row))


def test_cifar10_is_both_splits_train_first_each_by_class(cifar):
    """torchvision's own reader on files in its format."""
    root, images, labels = cifar
    found, order = data.load("cifar10", root=root), by_split_and_class(labels)
    assert torch.equal(found.images, torch.from_numpy(images[order])) and found.images.is_contiguous()
    assert found.labels.tolist() == [labels[row] for row in order] and found.classes == tuple(tv_classes())

    cifar_batch(root / tv.CIFAR10.base_folder / "data_batch_3", images[:4].reshape(4, -1), [0, 0, 0, 0])
    with pytest.raises(FileNotFoundError, match="cifar-10-batches-py folder, complete, .* absent or damaged"):
        data.load("cifar10", root=root)


@pytest.mark.parametrize("where", ["pictures", "pictures.zip", "cifar-10-jpeg.zip in the root", "GENENS_DATA"])
def test_cifar10_as_pictures_in_a_folder_or_a_zip_has_the_same_rows(cifar, tmp_path, monkeypatch, where):
    root, images, labels = cifar
    place, names = tmp_path / "pictures", tv_classes()
    for row, label in enumerate(labels):
        write(
            place / ("train" if row < 20 else "test") / names[label] / f"{row:04d}.png", images[row].transpose(1, 2, 0)
        )
    for split in ("train", "test"):
        for name in names:  # of classes without an image here, one that the comparison leaves out
            if not list((place / split / name).glob("*")):
                write(place / split / name / "none.png", np.zeros((32, 32, 3), np.uint8))
    shutil.make_archive(str(place), "zip", place)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copy(tmp_path / "pictures.zip", elsewhere / "cifar-10-jpeg.zip")
    monkeypatch.setenv("GENENS_DATA", str(elsewhere))
    given = {"GENENS_DATA": None, "cifar-10-jpeg.zip in the root": elsewhere}.get(where, tmp_path / where)
    found = data.load("cifar10", root=given)
    real = (found.images > 0).flatten(1).any(dim=1)
    expected = data.load("cifar10", root=root)
    assert torch.equal(found.images[real], expected.images) and torch.equal(found.labels[real], expected.labels)
    assert found.classes == expected.classes


def test_a_zip_of_pictures_is_a_folder_of_them(tmp_path):
    for name in ("cat", "dog"):
        for i in range(2):
            write(tmp_path / "all" / name / f"{i}.png", pixels(6, 5, seed=i))
    shutil.make_archive(str(tmp_path / "all"), "zip", tmp_path / "all")
    packed, plain = (data.load(f"folder:{tmp_path / name}") for name in ("all.zip", "all"))
    assert packed.digest == plain.digest and packed.classes == plain.classes == ("cat", "dog")


def tv_classes() -> list[str]:
    return "airplane automobile bird cat deer dog frog horse ship truck".split()


def test_celeba_is_cropped_to_the_centre_and_resized_to_128(tmp_path, monkeypatch):
    celeba.fabricate(tmp_path, monkeypatch, [(218, 178)] * 3)
    faces = data.load("celeba", root=tmp_path)
    assert faces.images.shape == (3, 3, 128, 128)
    with Image.open(tmp_path / "celeba" / "img_align_celeba" / "000002.jpg") as face:
        by_hand = face.crop((0, 20, 178, 198)).resize((128, 128), Image.Resampling.BILINEAR)
    assert np.array_equal(faces.images[1].numpy(), np.asarray(by_hand).transpose(2, 0, 1))
    assert data.load("celeba", root=tmp_path, size=16).images.shape == (3, 3, 16, 16)


def test_celeba_says_who_is_shown_and_how(tmp_path, monkeypatch):
    celeba.fabricate(tmp_path, monkeypatch, [(218, 178)] * 6)
    faces = data.load("celeba", root=tmp_path, size=8)
    assert faces.classes == ("7", "12", "3000") and faces.labels.tolist() == [0, 2, 0, 1, 0, 2]
    assert faces.attribute_names == ("Smiling", "Young") and faces.attributes.tolist() == [[True, False]] * 6
    assert faces.take(2).attributes.shape == (2, 2) and len(faces.select([2]).attributes) == 2
    recipe = Recipe("celeba", steps=1, n=4, h=2, groups="identity", root=str(tmp_path), size=8)
    given = recipe.codes(recipe.images())  # super samples (paper, Section 2.3): one code a person
    assert np.array_equal(given[[0, 1]], given[[2, 5]]) and len(np.unique(given, axis=0)) == 3


def test_celeba_is_decoded_once(tmp_path, monkeypatch):
    celeba.fabricate(tmp_path, monkeypatch, [(20, 20)] * 3)
    first = data.load("celeba", root=tmp_path, size=8)
    shutil.rmtree(tmp_path / "celeba")
    again = data.load("celeba", root=tmp_path, size=8)
    assert torch.equal(again.images, first.images) and again.attribute_names == first.attribute_names
    in_memory = replace(again, images=again.images.clone())
    assert again.digest == first.digest == in_memory.digest
    with (tmp_path / "celeba-8" / data.PIXELS).open("r+b") as file:
        file.write(b"\x00\x01\x02\x03")
    with pytest.raises(ValueError, match=r"pixels\.u8 was edited.*delete the folder"):
        data.load("celeba", root=tmp_path, size=8)


def about(shape: tuple[int, ...]) -> data.Dataset:
    return data.Dataset(torch.empty(shape, dtype=torch.uint8, device="meta"), torch.arange(shape[0]), "set", ("a", "b"))


@pytest.mark.parametrize(
    ("shapes", "said"),
    [([(1, 3, 4, 4)], "2 images, got 1"), ([(3, 3, 4, 4)], "got .3, 3, 4, 4"), ([(2, 3, 4, 5)], "got .2, 3, 4, 5")],
)
def test_a_data_set_that_is_not_whole_is_not_packed(tmp_path, shapes, said):
    chunks = (torch.zeros(shape, dtype=torch.uint8) for shape in shapes)
    with pytest.raises(ValueError, match=said):
        data.pack(tmp_path / "set", about((2, 3, 4, 4)), chunks)
    assert not list(tmp_path.iterdir())


def test_celeba_with_an_edited_table_or_a_lost_image_is_refused(tmp_path, monkeypatch):
    celeba.fabricate(tmp_path, monkeypatch, [(20, 20)] * 2)
    (tmp_path / "celeba" / "img_align_celeba" / "000002.jpg").unlink()
    with pytest.raises(ValueError, match=r"000002\.jpg is not"):
        data.load("celeba", root=tmp_path)
    (tmp_path / "celeba" / "identity_CelebA.txt").write_text("000001.jpg 8\n")
    with pytest.raises(FileNotFoundError, match="celeba folder, complete"):
        data.load("celeba", root=tmp_path)


def corrupt(path: Path, how: str) -> None:
    if how == "text":
        path.write_text("not an image")
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "truncated":
        path.write_bytes(path.read_bytes()[:-40])
    else:
        path.write_bytes(path.read_bytes()[:45] + b"\xff" * 30 + path.read_bytes()[75:])


@pytest.mark.parametrize(
    ("suffix", "how"),  # flipped bytes in a JPEG, which has no checksum, are just another image
    [(s, how) for s in ("png", "jpg") for how in ("text", "empty", "truncated")] + [("png", "flipped")],
)
def test_one_corrupt_image_is_named(tmp_path, suffix, how):
    for i in range(3):
        write(tmp_path / f"{i}.{suffix}", pixels(32, 32, 3, seed=i))
    corrupt(tmp_path / f"1.{suffix}", how)
    with pytest.raises(ValueError, match=rf"readable png or jpg, but .*1\.{suffix} is not") as error:
        data.load(f"folder:{tmp_path}")
    assert "\n" not in str(error.value)


def test_mixed_sizes_are_an_error_without_size(tmp_path):
    write(tmp_path / "a.png", pixels(4, 5))
    write(tmp_path / "b.png", pixels(4, 6))
    with pytest.raises(ValueError, match=r"one size, but .*b\.png is 6x4 and .*a\.png is 5x4: give size="):
        data.load(f"folder:{tmp_path}")


@pytest.mark.parametrize("array", [pixels(4, 4, 4), pixels(4, 4, 2), pixels(4, 4).astype(np.uint16)])
def test_transparency_and_16_bits_are_refused(tmp_path, array):
    write(tmp_path / "a.png", array)
    with pytest.raises(ValueError, match=r"8-bit grey or RGB image, but .*a\.png is"):
        data.load(f"folder:{tmp_path}")


def test_folder_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere is not a folder"):
        data.load(f"folder:{tmp_path}/nowhere")
    with pytest.raises(FileNotFoundError, match="expected png or jpg images in .* got none"):
        data.load(f"folder:{tmp_path}")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="every class folder of .* got none in empty"):
        data.load(f"folder:{tmp_path}")
    write(tmp_path / "loose.png", pixels(3, 3))
    with pytest.raises(ValueError, match="got both: move the 1 loose images"):
        data.load(f"folder:{tmp_path}")


def test_a_damaged_copy_of_mnist_is_refused(tmp_path, monkeypatch):
    for name in data.MNIST_SHA256:
        (tmp_path / name).write_bytes((data.MNIST / name).read_bytes()[:-1])
    monkeypatch.setattr(data, "MNIST", tmp_path)
    with pytest.raises(ValueError, match=r"t10k-images-idx3-ubyte\.gz with sha256 1a1a05eab793"):
        data.load("mnist")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: data.load("minst"), "among mnist, cifar10, celeba, faces, folder:PATH, got 'minst'"),
        (lambda: data.load("folder:"), "got 'folder:'"),
        (lambda: data.load("mnist:x"), "got 'mnist:x'"),
        (lambda: data.load("mnist", size=0), "at least 1 pixel, got 0"),
        (lambda: data.load("mnist").select([3, 10]), r"labels among \[0, .* 9\] of MNIST test, got \[10\]"),
        (lambda: data.load("mnist").select([]), "got an empty list"),
        (lambda: data.load("mnist").take(0), "1 <= N <= 10000 images of MNIST test, got N = 0"),
        (lambda: data.load("mnist").take(10_001), "got N = 10001"),
    ],
)
def test_errors_say_what_was_expected_and_what_came(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("spec", ["cifar10", "celeba"])
def test_absent_data_says_where_it_looked_and_downloads_nothing(tmp_path, spec):
    with pytest.raises(FileNotFoundError, match=f"in {tmp_path}, but it is absent") as error:
        data.load(spec, root=tmp_path)
    assert "download" not in str(error.value) and not list(tmp_path.iterdir())


def test_progress_goes_to_stderr_for_big_folders_only(tmp_path, monkeypatch, capsys):
    for i in range(3):
        write(tmp_path / f"{i}.png", pixels(2, 2, seed=i))
    data.load(f"folder:{tmp_path}")
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(pictures, "PROGRESS_FROM", 3)
    data.load(f"folder:{tmp_path}")
    out, err = capsys.readouterr()
    assert out == "" and "reading images" in err


@pytest.mark.parametrize("suffix", ["GIF", "BMP", "TIFF", "PPM", "WEBP", "EPS"])
def test_other_formats_are_no_pictures_whatever_their_name(tmp_path, suffix, monkeypatch):
    monkeypatch.setattr("subprocess.check_call", lambda *_, **__: pytest.fail("a data file started a program"))
    if suffix == "EPS":
        eps(tmp_path / "a.png")
    else:
        Image.fromarray(pixels(4, 4, 3)).save(tmp_path / "a.png", format=suffix)
    with pytest.raises(ValueError, match=r"readable png or jpg, but .*a\.png is not"):
        data.load(f"folder:{tmp_path}")


def test_an_animation_is_refused(tmp_path):
    first, *more = (Image.fromarray(pixels(4, 4, 3, seed=i)) for i in range(3))
    first.save(tmp_path / "a.png", save_all=True, append_images=more)
    with pytest.raises(ValueError, match="it has 3 frames"):
        data.load(f"folder:{tmp_path}")


def test_a_transparent_colour_is_refused_where_it_occurs_and_not_where_it_does_not(tmp_path):
    for mode, colour, other in (("L", 7, 9), ("RGB", (7, 7, 7), (9, 9, 9))):
        picture = Image.new(mode, (4, 4), colour)
        picture.save(tmp_path / "a.png", transparency=other)
        assert (data.load(f"folder:{tmp_path}").images == 7).all()
        picture.save(tmp_path / "a.png", transparency=colour)
        with pytest.raises(ValueError, match="opaque 8-bit grey or RGB"):
            data.load(f"folder:{tmp_path}")


def test_nothing_outside_the_folder_is_read_and_nothing_is_skipped_in_silence(tmp_path):
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    write(inside / "a.png", pixels(4, 4))
    write(outside / "b.png", pixels(4, 4, seed=1))
    odd = inside / "c.png"
    for make, said in (
        (lambda: odd.symlink_to(outside / "b.png"), "is a link to .*b.png: copy it"),
        (lambda: odd.symlink_to(inside / "gone.png"), "a link to nothing: remove it"),
        (lambda: odd.symlink_to(odd), "a link to nothing: remove it"),
        (lambda: os.mkfifo(odd), "a pipe, device or socket: remove it"),
        (lambda: odd.symlink_to("/dev/zero"), "is a link to /dev/zero: copy it"),
    ):
        make()
        with pytest.raises(ValueError, match=said):
            data.load(f"folder:{inside}")
        odd.unlink()
    odd.symlink_to(inside / "a.png")
    with pytest.warns(UserWarning, match="1 of 2 images are identical to others .c.png to a.png."):
        assert len(data.load(f"folder:{inside}")) == 2
    (tmp_path / "classes").mkdir()
    (tmp_path / "classes" / "b").symlink_to(outside)
    with pytest.raises(ValueError, match="is a link to .*outside: copy it"):
        data.load(f"folder:{tmp_path / 'classes'}")


def test_a_name_that_a_terminal_would_act_on_is_not_printed_as_it_is(tmp_path):
    write(tmp_path / "a\x1b[31m.png", pixels(4, 4))
    with pytest.raises(ValueError) as refused:
        data.load(f"folder:{tmp_path}")
    assert "\x1b" not in str(refused.value) and r"\x1b[31m.png" in str(refused.value)
    (tmp_path / "a\x1b[31m.png").rename(tmp_path / "ё漢字 é.png")
    assert len(data.load(f"folder:{tmp_path}")) == 1
    write(tmp_path / "classes" / "b\x1b" / "a.png", pixels(4, 4))
    with pytest.raises(ValueError, match=r"names that can be printed in .*classes, got 'b.x1b': rename it"):
        data.load(f"folder:{tmp_path / 'classes'}")


def test_pictures_that_the_memory_does_not_hold_are_refused_before_room_is_made(tmp_path, monkeypatch):
    for i in range(3):
        write(tmp_path / f"{i}.png", pixels(8, 9, seed=i))
    monkeypatch.setattr(os, "sysconf", lambda name: {"SC_PAGE_SIZE": 4, "SC_PHYS_PAGES": 100}[name])
    with pytest.raises(ValueError, match=r"fit into memory, got 3 of 9x8 pixels, .* give size="):
        data.load(f"folder:{tmp_path}")
    assert data.load(f"folder:{tmp_path}", size=4).images.shape == (3, 1, 4, 4)

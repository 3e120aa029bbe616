"""Letters and digits as small grey images, for every task that is made of them.

Pillow draws them from the fonts that ship inside matplotlib: DejaVu (Bitstream Vera's licence; changes in the public
domain), STIX (SIL Open Font License 1.1) and Computer Modern (Knuth's, public domain). A character is centred
sideways and stands on a common baseline, so that O, o and 0 keep their sizes. It is drawn four times too large, moved
by an affine map where the data ask for it, and averaged down, which leaves little of how FreeType hints small glyphs:
Pillow 11.0, 12.0 and 13.0 (FreeType 2.13.2, 2.14.1, 2.14.3) give the same pixels.

Three ways to split them, each with its own reference and its own variants:

- ``face_arrays``: 62 characters, told apart in font faces that were never seen;
- ``letter_arrays``: 255 letters of several alphabets, other ones in each part, in 16 faces each;
- ``style_arrays``: 42 writers with their own face, slant and favourite characters, of whom 6 are held out.
"""

import math
import string
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from suite.task import DataRef

SIDE, OVERSAMPLING = 20, 4
CHARACTERS = string.ascii_uppercase + string.ascii_lowercase + string.digits

DEJAVU = (
    *("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSans-BoldOblique"),
    *("DejaVuSansMono", "DejaVuSansMono-Bold", "DejaVuSansMono-Oblique", "DejaVuSansMono-BoldOblique"),
    *("DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic", "DejaVuSerif-BoldItalic"),
)
STIX = ("STIXGeneral", "STIXGeneralItalic", "STIXGeneralBol", "STIXGeneralBolIta")
COMPUTER_MODERN = ("cmr10", "cmb10", "cmti10", "cmss10", "cmtt10")
FACES = DEJAVU + STIX + COMPUTER_MODERN
UNICODE_FACES = DEJAVU + STIX  # those that hold more than the Latin alphabet

# Largest rotation (degrees), log zoom, shear and translation (share of the side) of random maps.
Strengths = tuple[float, float, float, float]
MILD: Strengths = (8.0, 0.08, 0.1, 0.05)
STRONG: Strengths = (12.0, 0.1, 0.15, 0.07)
STYLE: Strengths = (15.0, 0.0, 0.25, 0.0)  # of a writer
HAND: Strengths = (5.0, 0.08, 0.05, 0.05)  # of a writer's single image

TRAIN_FACES, VALIDATION_FACES = 10, 4  # of DejaVu's twelve, and of the nine others; the last five are for testing
TRAIN_COPIES, HELD_OUT_COPIES = 3, 4
UNSTEADY_LETTERS = "\u0260\u0267"  # drawn otherwise by FreeType 2.13 than by 2.14
SMALLEST_DISTANCE = 0.35  # between two letters, as a share of the fainter one's norm; closer ones are homoglyphs
TRAIN_LETTERS, VALIDATION_LETTERS = 0.6, 0.2  # shares
WRITERS, TRAIN_WRITERS = 2 * len(FACES), 36
TYPICAL_IMAGES, FEWEST_IMAGES, MOST_IMAGES = 150, 40, 400  # of a writer
VALIDATION_SHARE = 0.2  # of a training writer's images

SOURCE = "fonts of matplotlib 3.11.2, drawn by Pillow 13.0.0 with FreeType 2.14.3"
LICENCE = "Bitstream Vera (DejaVu), SIL OFL 1.1 (STIX), public domain (Computer Modern)"

FACES_DATA = DataRef(
    name="glyph-faces",
    version="1",
    digest="d5b78b74ebdf9b8c6244749cfae1ea8a62b9fca915416db75767fe0725f71338",
    licence=LICENCE,
    source=SOURCE,
    splits="10 faces of DejaVu for training; 4 and 5 faces of STIX and Computer Modern for validation and testing",
)
LETTERS_DATA = DataRef(
    name="glyph-letters",
    version="1",
    digest="2f8326d6898386192ce4c1e3b303ff3a074066179810ab14efcf03e9602d76bc",
    licence=LICENCE,
    source=SOURCE,
    splits="of the letters in random order 60 % for training, 20 % for validation, 20 % for testing; 16 faces each",
)
STYLES_DATA = DataRef(
    name="glyph-styles",
    version="1",
    digest="aec6560c667655049ff061614f27b50fc741a24dbcc5425058ce37ee5977c840",
    licence=LICENCE,
    source=SOURCE,
    splits="36 writers for training, with a fifth of their images for validation; 6 others for testing",
)


def drawn(characters: Sequence[str], faces: Sequence[str]) -> list[Image.Image]:
    """The ``characters`` of the first of ``faces``, then those of the second, ..., each ``OVERSAMPLING`` too large."""
    side = SIDE * OVERSAMPLING
    images = []
    for face in faces:
        # The basic layout is the one that every build of Pillow has.
        font = ImageFont.truetype(font_file(face), int(0.72 * side), layout_engine=ImageFont.Layout.BASIC)
        for character in characters:
            image = Image.new("L", (side, side))
            left, _, right, _ = font.getbbox(character, anchor="ls")
            place = ((side - left - right) // 2, int(0.74 * side))
            ImageDraw.Draw(image).text(place, character, fill=255, font=font, anchor="ls")
            images.append(image)
    return images


def font_file(face: str) -> Path:
    """Where matplotlib keeps the font file of ``face``."""
    import matplotlib

    return Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{face}.ttf"


def random_maps(count: int, strengths: Strengths, random: np.random.Generator) -> np.ndarray:
    """(count, 2, 3) random affine maps, uniform within ``strengths``.

    A map takes a place in the new image to one in the old, both from the middle and in units of the side.
    """
    rotation, zoom, shear, right, down = (2.0 * random.random((5, count)) - 1.0) * np.array(
        [[math.radians(strengths[0])], [strengths[1]], [strengths[2]], [strengths[3]], [strengths[3]]]
    )
    cosine, sine = np.cos(rotation) / np.exp(zoom), np.sin(rotation) / np.exp(zoom)
    first = np.stack([cosine, shear * cosine - sine, right], axis=1)
    second = np.stack([sine, shear * sine + cosine, down], axis=1)
    return np.stack([first, second], axis=1)


def moved(images: Sequence[Image.Image], maps: np.ndarray) -> list[Image.Image]:
    """Each of the ``images`` under its own map."""
    placed = []
    for image, ((a, b, right), (c, d, down)) in zip(images, maps, strict=True):
        side, middle = image.width, image.width / 2
        coefficients = (
            *(a, b, middle - a * middle - b * middle + side * right),
            *(c, d, middle - c * middle - d * middle + side * down),
        )
        placed.append(image.transform(image.size, Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR))
    return placed


def shrunk(images: Sequence[Image.Image]) -> np.ndarray:
    """(n, 1, 20, 20) float32 in [0, 1]: the ``images`` averaged down."""
    pixels = np.stack([np.asarray(image.reduce(OVERSAMPLING)) for image in images])
    return pixels[:, None].astype(np.float32) / 255


def composed(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(count, 2, 3): the maps of images that are moved by ``first`` and then by ``second``."""
    linear = first[:, :, :2]
    return np.concatenate([linear @ second[:, :, :2], linear @ second[:, :, 2:] + first[:, :, 2:]], axis=2)


def shuffled(items: Sequence[str], random: np.random.Generator) -> list[str]:
    return [items[place] for place in np.argsort(random.random(len(items)))]


def split_faces(variant: int) -> dict[str, list[str]]:
    """Faces of ``train`` (10 of DejaVu), ``validation`` (4 of the other families) and ``test`` (the other 5)."""
    random = np.random.Generator(np.random.PCG64(variant))
    others = shuffled(STIX + COMPUTER_MODERN, random)
    return {
        "train": shuffled(DEJAVU, random)[:TRAIN_FACES],
        "validation": others[:VALIDATION_FACES],
        "test": others[VALIDATION_FACES:],
    }


def face_arrays(variant: int = 0) -> dict[str, np.ndarray]:
    """``x`` (n, 1, 20, 20) float32 in [0, 1] and ``y`` (n,) int64 of ``train``, ``validation`` and ``test``.

    The 62 characters of each face come in 3 copies for training (n = 1860) and in 4 for the others (992 and 1240), each
    mildly misplaced on its own. A variant has other faces in each part and other misplacements.
    """
    arrays = {}
    random = np.random.Generator(np.random.PCG64(variant))
    for name, faces in split_faces(variant).items():
        copies = TRAIN_COPIES if name == "train" else HELD_OUT_COPIES
        images = copies * drawn(CHARACTERS, faces)
        arrays[f"{name}_x"] = shrunk(moved(images, random_maps(len(images), MILD, random)))
        arrays[f"{name}_y"] = np.tile(np.arange(len(CHARACTERS)), copies * len(faces))
    return arrays


def letters() -> list[str]:
    """The letters that all of ``UNICODE_FACES`` hold, without accented ones and homoglyphs, in the order of codes."""
    from matplotlib.ft2font import FT2Font

    common = set.intersection(*(set(FT2Font(str(font_file(face))).get_charmap()) for face in UNICODE_FACES))
    held = [chr(code) for code in sorted(common)]
    single = [each for each in held if unicodedata.category(each) in ("Lu", "Ll", "Lo")]
    plain = [each for each in single if not unicodedata.decomposition(each) and each not in UNSTEADY_LETTERS]
    return distinct(plain)


def distinct(characters: Sequence[str]) -> list[str]:
    """``characters`` without those that look like an earlier one in all of ``UNICODE_FACES`` taken together."""
    pixels = shrunk(drawn(characters, UNICODE_FACES)).reshape(len(UNICODE_FACES), len(characters), -1)
    looks = np.rint(255.0 * pixels.transpose(1, 0, 2).reshape(len(characters), -1).astype(float))  # exact sums
    products = looks @ looks.T
    norms = products.diagonal()
    squares = norms[:, None] + norms - 2 * products
    alike = squares <= SMALLEST_DISTANCE**2 * np.minimum(norms[:, None], norms)
    kept: list[int] = []
    for number in range(len(characters)):
        if not alike[number, kept].any():
            kept.append(number)
    return [characters[number] for number in kept]


def letter_arrays(variant: int = 0) -> dict[str, np.ndarray]:
    """``x`` (n, 1, 20, 20) float32 in [0, 1] and ``y`` (n,) int64 of ``train``, ``validation`` and ``test``.

    The parts share no letter: ``y`` counts the letters of each part from 0, and each has 16 images, one a face. Those
    for training are straight, the others strongly misplaced, each on its own. A variant has other letters in each part
    and other misplacements.
    """
    random = np.random.Generator(np.random.PCG64(variant))
    order = shuffled(letters(), random)
    ends = (round(TRAIN_LETTERS * len(order)), round((TRAIN_LETTERS + VALIDATION_LETTERS) * len(order)))
    parts = {"train": order[: ends[0]], "validation": order[ends[0] : ends[1]], "test": order[ends[1] :]}
    arrays = {}
    for name, part in parts.items():
        images = drawn(part, UNICODE_FACES)
        if name != "train":
            images = moved(images, random_maps(len(images), STRONG, random))
        arrays[f"{name}_x"] = shrunk(images)
        arrays[f"{name}_y"] = np.tile(np.arange(len(part)), len(UNICODE_FACES))
    return arrays


def style_arrays(variant: int = 0) -> dict[str, np.ndarray]:
    """``x`` (n, 1, 20, 20) float32 in [0, 1], ``y`` (n,) int64 and ``writer`` (n,) int64 of the three parts.

    Every face has two writers, each with a rotation and a shear of its own, 40 to 400 images and a uniform draw of how
    often it writes which of the 62 characters. Of the 36 writers 0 to 35, four fifths of the images are in ``train``
    and the rest in ``validation``; ``test`` has all images of the writers 36 to 41. A variant has other writers.
    """
    random = np.random.Generator(np.random.PCG64(variant))
    faces = shuffled(2 * FACES, random)
    styles = random_maps(WRITERS, STYLE, random)
    collected: dict[str, list[np.ndarray]] = {
        f"{part}_{kind}": [] for part in ("train", "validation", "test") for kind in ("x", "y", "writer")
    }
    for writer, (face, style) in enumerate(zip(faces, styles, strict=True)):
        x, y = written(face, style, random)
        first = round((1 - VALIDATION_SHARE) * len(y))
        parts = {"test": slice(None)}
        if writer < TRAIN_WRITERS:
            parts = {"train": slice(first), "validation": slice(first, None)}
        for part, chosen in parts.items():
            collected[f"{part}_x"].append(x[chosen])
            collected[f"{part}_y"].append(y[chosen])
            collected[f"{part}_writer"].append(np.full(len(y[chosen]), writer))
    return {name: np.concatenate(arrays) for name, arrays in collected.items()}


def written(face: str, style: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """x (n, 1, 20, 20) float32 and y (n,) int64 of a writer with ``style`` (2, 3)."""
    count = int(np.clip(random.lognormal(math.log(TYPICAL_IMAGES), 0.4), FEWEST_IMAGES, MOST_IMAGES))
    frequencies = random.dirichlet(np.ones(len(CHARACTERS)))
    y = random.choice(len(CHARACTERS), count, p=frequencies)
    alphabet = drawn(CHARACTERS, [face])
    maps = composed(np.broadcast_to(style, (count, 2, 3)), random_maps(count, HAND, random))
    return shrunk(moved([alphabet[character] for character in y], maps)), y

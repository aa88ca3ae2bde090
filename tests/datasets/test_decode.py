"""Pixels come out as uint8 RGB whatever the mode, and lossy encodings are named."""

import struct
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, features

from bench.datasets import decode as decoding
from bench.datasets.decode import decode, lossy, rgb
from bench.errors import UserError
from bench.system import notices
from tests.helpers.images import encode


def test_modes_become_rgb():
    grey = np.arange(36, dtype=np.uint8).reshape(6, 6) * 7
    expected = np.repeat(grey[:, :, None], 3, 2)
    for image in (
        Image.fromarray(grey),
        Image.fromarray(expected),
        Image.fromarray(grey).convert("P"),
        Image.merge("LA", [Image.fromarray(grey), Image.new("L", (6, 6), 255)]),
        Image.fromarray(grey.astype(np.uint16) * 257),
    ):
        array = rgb(image)
        assert array.dtype == np.uint8 and array.shape == (6, 6, 3)
        np.testing.assert_array_equal(array, expected)


def test_transparency_is_shown_on_white():
    layer = np.zeros((2, 2, 4), np.uint8)
    layer[0, 0] = (10, 20, 30, 255)
    array = rgb(Image.fromarray(layer))
    assert array[0, 0].tolist() == [10, 20, 30]
    assert array[1, 1].tolist() == [255, 255, 255]


@pytest.mark.parametrize("kind", [np.float32, np.int32, np.int16])
def test_pixels_without_a_fixed_scale_are_refused(kind):
    with pytest.raises(UserError, match=r"save it with 8 or 16 bits"):
        decode(encode(np.ones((2, 2), kind), encoding="TIFF"), "x.tif")


def _pgm(values, most):
    return b"P5 %d %d %d\n" % (values.shape[1], values.shape[0], most) + values.astype(">u2").tobytes()


def _twelve_bits(values):
    """Pack an even number of 12-bit values as an uncompressed TIFF."""
    pairs = values.reshape(-1, 2).astype(int)
    packed = np.stack([pairs[:, 0] >> 4, (pairs[:, 0] & 15) << 4 | pairs[:, 1] >> 8, pairs[:, 1] & 255], 1)
    data = packed.astype(np.uint8).tobytes()
    height, width = values.shape
    tags = [(256, width), (257, height), (258, 12), (259, 1), (262, 1), (273, 0), (277, 1), (278, height)]
    tags.append((279, len(data)))
    start = 8 + 2 + 12 * len(tags) + 4
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, start if tag == 273 else value) for tag, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + b"\0" * 4 + data


@pytest.mark.parametrize("top", [200, 255, 256, 4095])
@pytest.mark.parametrize(
    ("write", "most"),
    [
        (lambda v: encode(v.astype(np.uint16)), 65535),
        (lambda v: encode(v.astype(np.uint16), encoding="TIFF"), 65535),
        (lambda v: encode(v.astype(">u2"), encoding="TIFF"), 65535),
        (lambda v: encode(v.astype(np.uint16), encoding="JPEG2000", irreversible=False), 65535),
        (lambda v: _pgm(v, 65535), 65535),
        (lambda v: _pgm(v, 4095), 4095),
        (_twelve_bits, 4095),
    ],
    ids=["png", "tiff", "big-endian tiff", "jp2", "pgm", "12-bit pgm", "12-bit tiff"],
)
def test_deep_grey_is_scaled_by_the_depth_of_the_file(write, most, top):
    values = np.linspace(0, top, 64).round().astype(int).reshape(8, 8)
    expected = np.round(values * 255 / most).astype(int)
    assert np.abs(decode(write(values), "x")[..., 0].astype(int) - expected).max() <= 1


@pytest.mark.parametrize(("top", "said"), [(4094, True), (4095, False), (65535, False)])
def test_a_set_that_uses_few_of_its_bits_is_said_once(top, said, capsys, monkeypatch):
    monkeypatch.setattr(notices, "_told", set())
    for _ in range(2):
        decode(encode(np.full((4, 4), top, np.uint16)), "x.png")
    assert capsys.readouterr().err.count("nearly black") == said


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "MPO"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_turns_every_format(form, orientation):
    if form not in Image.SAVE and not features.check(form.lower()):
        pytest.skip(f"this Pillow cannot write {form}")
    upright = np.zeros((24, 40, 3), np.uint8)
    upright[:8, :16] = 255  # only one corner is white
    stored = _stored(upright, orientation)
    exif = Image.Exif()
    exif[0x112] = orientation
    options = {"MPO": {"save_all": True, "append_images": [Image.fromarray(stored)]}, "WEBP": {"lossless": True}}
    found = decode(encode(stored, encoding=form, exif=exif, **options.get(form, {})), "x")
    assert found.shape == upright.shape
    assert np.abs(found.astype(int) - upright).mean() < 10


def _stored(upright, orientation):
    """Return what a camera held in this orientation stores."""
    ways = {2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE", 6: "ROTATE_90"}
    ways |= {7: "TRANSVERSE", 8: "ROTATE_270"}
    image = Image.fromarray(upright)
    return np.asarray(image.transpose(Image.Transpose[ways[orientation]]) if orientation > 1 else image)


def test_deep_grey_is_turned_as_well():
    exif = Image.Exif()
    exif[0x112] = 6
    assert decode(encode(np.zeros((4, 9), np.uint16), exif=exif), "x").shape == (9, 4, 3)


def test_damaged_exif_data_says_nothing():
    array = np.full((4, 9, 3), 80, np.uint8)
    assert decode(encode(array, encoding="PNG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff"), "x").shape == (4, 9, 3)


@pytest.mark.parametrize("form", ["EPS", "PDF", "ICNS"])
def test_only_named_formats_are_opened(form):
    with pytest.raises(UserError, match=r"its format is none of AVIF, BMP"):
        decode(encode(np.zeros((16, 16, 3), np.uint8), encoding=form), "x.png")


def test_an_image_of_too_many_pixels_is_a_sentence():
    with pytest.raises(UserError, match=r"x\.png is too large .*at most 89 million pixels"):
        decode(encode(np.zeros((9450, 9450), bool)), "x.png")


def test_what_a_broken_image_is_instead():
    for data, reason in ((b"", "it is empty"), (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull")):
        with pytest.raises(UserError, match=reason):
            decode(data, "x.png")


def test_broken_images_are_named():
    data = encode(np.zeros((9, 9, 3), np.uint8))
    for broken in (b"", b"no image", data[: len(data) // 2]):
        with pytest.raises(UserError, match=r"here\.png cannot be read as an image"):
            decode(broken, "here.png")


@pytest.mark.parametrize("quality", [5, 30, 50, 75, 90, 95, 100])
def test_jpeg_quality_is_read_off_the_tables(quality, images):
    (array,) = images(1, size=16)
    assert lossy([encode(array, encoding="JPEG", quality=quality)]) == f"jpeg{quality}"


def test_lossless_encodings_have_no_name_and_the_worst_lossy_one_counts(images):
    (array,) = images(1, size=16)
    clean = [encode(array, encoding=e) for e in ("PNG", "BMP", "PPM")] + [encode(array, encoding="WEBP", lossless=True)]
    assert lossy(clean) is None
    mixed = [*clean, *(encode(array, encoding="JPEG", quality=q) for q in (100, 90, 95))]
    assert lossy(mixed) == "jpeg90"
    assert lossy([encode(array, encoding="WEBP", quality=80)]) == "webp"


BIG = {
    "jpeg": lambda pixels: encode(pixels, encoding="JPEG", quality=95),
    "png": encode,
    "one bit": lambda pixels: encode(Image.fromarray(pixels[..., 0]).convert("1")),
    "palette": lambda pixels: encode(Image.fromarray(pixels).convert("P", palette=Image.Palette.ADAPTIVE)),
    "16 bits": lambda pixels: encode(pixels[..., 0].astype(np.uint16) * 257),
    "transparent": lambda pixels: encode(np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])),
    "cmyk": lambda pixels: encode(Image.fromarray(pixels).convert("CMYK"), encoding="JPEG", quality=95),
}


@pytest.mark.parametrize("kind", BIG)
@pytest.mark.parametrize(("ample", "shape"), [(900, (34, 26)), (250, (17, 13)), (5000, (67, 51))])
def test_a_large_image_is_shrunk_by_boxes_of_whole_pixels(kind, ample, shape, monkeypatch):
    """Of 67 × 51 pixels, dark above and light below; the factors are 2, 4 and 1."""
    monkeypatch.setattr(decoding, "AMPLE_PIXELS", ample)
    monkeypatch.setattr(decoding, "BAND_PIXELS", 400)
    pixels = np.zeros((67, 51, 3), np.uint8)
    pixels[32:] = 255
    found = decode(BIG[kind](pixels), "x")
    assert found.shape == (*shape, 3) and found.dtype == np.uint8
    edge = 32 * shape[0] // 67
    assert found[: edge - 1].max() < 25 and found[edge + 1 :].min() > 230


def test_a_large_image_is_turned_and_a_dark_one_said_once(monkeypatch, capsys):
    monkeypatch.setattr(decoding, "AMPLE_PIXELS", 50)
    monkeypatch.setattr(notices, "_told", set())
    exif = Image.Exif()
    exif[0x112] = 6
    values = np.full((10, 20), 9, np.uint16)
    assert decode(encode(values, exif=exif), "x.png").shape == (10, 5, 3)
    values[0, 0] = 65535  # only the first band is light
    decode(encode(values), "x.png")
    assert capsys.readouterr().err.count("nearly black") == 1


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of memory from /proc")
def test_a_huge_image_takes_little_memory(tmp_path):
    """88 million pixels of a JPEG and of a one-bit PNG, each in a process of its own."""
    Image.new("1", (9400, 9400), 1).save(tmp_path / "x.png")
    Image.new("RGB", (9400, 9400), "white").save(tmp_path / "x.jpg")
    code = (
        "import pathlib, sys; from bench.datasets.decode import decode; from PIL import Image;"
        "peak = lambda: int(pathlib.Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0]) >> 10;"
        "before = peak(); assert decode(pathlib.Path(sys.argv[1]).read_bytes(), 'x').min() == 255;"
        "print(peak() - before)"
    )
    for name, most in (("x.png", 250), ("x.jpg", 200)):
        done = subprocess.run([sys.executable, "-c", code, tmp_path / name], capture_output=True, text=True, check=True)
        assert int(done.stdout) < most, name

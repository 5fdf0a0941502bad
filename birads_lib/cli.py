"""The command line: ``birads ...``. Exit code 0 done, 2 wrong usage or input, 1 anything else."""

from __future__ import annotations

import argparse
import contextlib
import errno
import json
import os
import reprlib
import signal
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from birads_lib.devices import DISTRIBUTE, DISTRIBUTIONS, HOSTS, chosen_distribution, read_member
from birads_lib.errors import ChapterError, DataError, StudyError, UsageError, one_line
from birads_lib.files import one_of_several, only_one
from birads_lib.processes import run_whole

if TYPE_CHECKING:
    from birads_lib.prediction import ResumableTable

DONE, FAILED, MISUSED = 0, 1, 2
REFUSED = "BIRADS_REFUSED"
"""Environment variable: file by which a step tells the study that its input was refused."""
UNUSABLE_PATH = {
    errno.EACCES, errno.EEXIST, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOENT,
    errno.ENOTDIR, errno.EPERM, errno.EROFS,
}  # fmt: skip
"""Errors of the system that another path would mend."""
LOCK = Path("_build") / "study.lock"
STEPS_LOCK = Path("_build") / "steps.lock"
"""Held by every step that runs, so that none of a study that was killed works on unseen."""
ALREADY = "a study or a sweep is running in this folder; wait for it or stop it"
LEFT_BEHIND = "a step of an earlier study is still running in this folder; wait for it or stop it"
STAMPS_DECIDE = ("--ignore-incomplete", "--rerun-triggers", "mtime")
"""What Snakemake itself knows of a step does not count: it is done when its stamp is there.

A step that left its stamp as all was killed is one that Snakemake would do again; because inputs
are ``ancient``, it then asks no further what its targets lack, and ends as if all were done.
"""
CLUSTERS = ("slurm", "kubernetes")
MOST_CORES, MOST_PORT = 4096, 65_535
NOTICE = "Research software, not a medical device."

_asked_to_stop = threading.Event()

Handler = Callable[[argparse.Namespace], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; errors a user can mend end in one line on standard error."""
    _settle_output()
    _asked_to_stop.clear()
    try:
        if threading.current_thread() is threading.main_thread():
            for ending in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
                if signal.getsignal(ending) != signal.SIG_IGN:  # as under nohup
                    signal.signal(ending, _stop)
        parsed = _parser().parse_args(arguments)
        code = parsed.handler(parsed)
        sys.stdout.flush()
        return code
    except (Exception, KeyboardInterrupt) as error:
        # A library that was stopped while it loaded may have made another error of it.
        if isinstance(error, KeyboardInterrupt) or _asked_to_stop.is_set():
            _complain("stopped")
            return FAILED
        return _tell(error)


def _tell(error: Exception) -> int:
    """Say in one line what went wrong, if that is known; the exit code."""
    match error:
        case StudyError():
            _complain(str(error))
            _tell_refused()
            return MISUSED
        case OSError():
            _drop_output()
            if not isinstance(error, BrokenPipeError):  # then who reads has read enough
                place = f"{error.filename or 'output'}: {error.strerror}; name another place"
                _complain(place if error.strerror else str(error))
            return MISUSED if error.errno in UNUSABLE_PATH else FAILED
        case ChapterError():
            print(f"birads: {error}", file=sys.stderr)
            return FAILED
        case MemoryError():
            _complain("not enough memory; give fewer tiles at a time, or a machine with more")
            return FAILED
        case _:
            raise error


def _settle_output() -> None:
    """Make every name printable, whatever the locale, and leave it to us to tell of a file."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    warnings.filterwarnings("ignore", module="pydicom")


def _drop_output() -> None:
    """Let output go that cannot be written, or Python would complain of it at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(text: str) -> None:
    """Say something on standard error, in one line."""
    print(f"birads: {one_line(text)}", file=sys.stderr)


def _tell_refused() -> None:
    """Leave a mark for the study that called this step: Snakemake hides exit codes."""
    if REFUSED in os.environ:
        with contextlib.suppress(OSError):  # on a cluster the place may not be there
            Path(os.environ[REFUSED]).touch()


def _stop(*_: object) -> None:
    """End as on Ctrl-C, so that what is half written is taken away."""
    _asked_to_stop.set()
    raise KeyboardInterrupt


class _Parser(argparse.ArgumentParser):
    """Tells of words that do not fit as commands tell of input that does not."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; run `{self.prog} --help` for what it takes")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="birads", description=f"A reproduction study of BI-RADS by deep learning. {NOTICE}"
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    phantom = _command(commands, "phantom", _phantom, "write simulated tiles in the Kaggle layout")
    phantom.add_argument("out", type=Path, metavar="OUT", help="new folder to write")
    phantom.add_argument("--scale", type=float, default=0.1, help="share of the real size (0.1)")
    phantom.add_argument("--positives", type=float, help="share infected (as in the real set)")
    phantom.add_argument("--seed", type=int, default=0)
    scanner = "training (the set's three) or outside (one that is none of them) (training)"
    phantom.add_argument("--scanner", default="training", help=scanner)

    fetch = _command(commands, "fetch", _fetch, "get a real data set, or check what is there")
    fetch.add_argument("name", choices=("kaggle", "mias", "cbis"), help="which set")
    fetch.add_argument("folder", type=Path, nargs="?", metavar="FOLDER", help="check this one")

    merge = _command(commands, "merge", _merge, "read a data set into a store")
    layouts = "folder of the Kaggle set, of mini-MIAS or of CBIS-DDSM"
    merge.add_argument("src", type=Path, metavar="SRC", help=layouts)
    merge.add_argument("store", type=Path, metavar="STORE", help="folder to write")

    audit = _command(commands, "audit", _audit, "count what a store holds, as JSON")
    audit.add_argument("store", type=Path, metavar="STORE")

    labels = _command(
        commands, "cbis-labels", _cbis_labels, "count what CBIS-DDSM's case files say, as JSON"
    )
    labels.add_argument("folder", type=Path, metavar="DIR", help="folder of the four CSV files")
    labels.add_argument("--out", type=Path, metavar="FILE", help="write it there (else to stdout)")

    study = _command(commands, "study", _study, "run the chapters that are not up to date")
    _add_study_options(study)
    cores = _whole(1, MOST_CORES)
    study.add_argument("--cores", type=cores, default=1, help="steps at a time (1)")
    study.add_argument("--book", action="store_true", help="also render the book")
    study.add_argument(
        "--distribute",
        choices=DISTRIBUTIONS[:2],
        help="train on one device or all local GPUs (one); for several hosts see birads step",
    )
    _add_place_options(study)

    sweep = _command(commands, "sweep", _sweep, "train and compare other ways of doing a stage")
    sweep.add_argument("names", nargs="*", metavar="NAME", help="sweeps (all in sweeps.yml)")
    _add_study_options(sweep)
    sweep.add_argument("--seeds", type=int, help="seeds a member (as sweeps.yml says)")
    sweep.add_argument("--cores", type=cores, default=1, help="groups at a time (1)")
    devices = "train on one device or all local GPUs (one)"
    sweep.add_argument("--distribute", choices=DISTRIBUTIONS[:2], help=devices)
    _add_place_options(sweep)
    sweep.add_argument("--group", help="run this group alone, here (what Snakemake calls)")
    sweep.add_argument("--stamp", type=Path, help="the group's stamp expected; another is refused")

    predict = _command(commands, "predict", _predict, f"read tiles with a cascade. {NOTICE}")
    predict.add_argument(
        "model", type=Path, metavar="MODEL", help="folder of a saved or exported cascade"
    )
    inputs = "store, .npy of tiles, or grey picture (PNG, JPEG, PGM, DICOM)"
    predict.add_argument("inputs", type=Path, nargs="+", metavar="INPUT", help=inputs)
    run_by = "openvino, onnx, or keras (openvino, the fastest); an export has its own"
    predict.add_argument("--engine", default="openvino", help=run_by)
    predict.add_argument(
        "--out",
        type=Path,
        help="write .csv or .parquet, and go on where an earlier run stopped (else CSV to stdout)",
    )
    predict.add_argument(
        "--keep-going",
        action="store_true",
        help="pass over inputs that cannot be read, list them, and end with exit code 1",
    )

    report = _command(commands, "report", _report, f"explain what a cascade says. {NOTICE}")
    report.add_argument("inputs", type=Path, nargs="+", metavar="IMAGE", help=inputs)
    report.add_argument("--out", type=Path, required=True, help="write .html, .pdf or .json")
    default = Path("_build/run/laptop/models/cascade")
    saved = f"folder of a saved cascade ({default})"
    report.add_argument("--model", type=Path, default=default, metavar="DIR", help=saved)
    report.add_argument("--engine", default="openvino", help="openvino or onnx (openvino)")

    export = _command(
        commands, "export", _export, f"write a cascade for a phone or another program. {NOTICE}"
    )
    export.add_argument("model", type=Path, metavar="MODEL", help="folder of a saved cascade")
    export.add_argument("out", type=Path, metavar="OUT", help="folder to write")
    export.add_argument("--format", default="litert", help="litert, onnx or openvino (litert)")
    export.add_argument(
        "--int8", action="store_true", help="in eight bits, with the loss and speed measured"
    )
    by = "calibrate and measure int8 on this store (the run's, where MODEL lies in one)"
    export.add_argument("--tiles", type=Path, metavar="STORE", help=by)
    export.add_argument("--seed", type=int, default=0, help="of the draw of tiles (0)")

    verify = _command(commands, "verify", _verify, "check digests, and metrics from predictions")
    verify.add_argument("path", type=Path, metavar="STORE_OR_RUN")

    serve = _command(commands, "serve", _serve, "show the book in a browser of this computer")
    port = "at http://localhost:PORT (8000)"
    serve.add_argument("--port", type=_whole(0, MOST_PORT), default=8000, help=port)

    step = _command(commands, "step", _step, "run one step of the graph (what Snakemake calls)")
    step.add_argument("name", metavar="STEP", help="data, a chapter, results or html")
    step.add_argument("--stamp", type=Path, help="the stamp expected; another is refused")
    step.add_argument(
        "--distribute",
        choices=DISTRIBUTIONS,
        help="train on one device, all local GPUs, or the hosts of TF_CONFIG (one)",
    )
    _add_study_options(step)
    return parser


def _command(commands: Any, name: str, handler: Handler, text: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=text[0].upper() + text[1:])
    parser.set_defaults(handler=handler)
    return parser


def _whole(least: int, most: int) -> Callable[[str], int]:
    """Reads an option's whole number, which must lie in a range."""

    def read(text: str) -> int:
        short = text.isdecimal() and len(text) <= len(str(most))
        if not short or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(
                f"{reprlib.repr(text)} given; expected {least} to {most}"
            )
        return int(text)

    return read


def _add_study_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--profile", default="laptop", help="smoke, laptop or paper (laptop)")
    parser.add_argument("--data", metavar="SRC", help="folder of a real data set, see merge")
    parser.add_argument("--external", metavar="SRC", help="folder of tiles for external validation")


def _add_place_options(parser: argparse.ArgumentParser) -> None:
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--cluster", choices=CLUSTERS, help="run each step as a job of a cluster")
    where.add_argument(
        "--executor-profile", type=Path, metavar="PATH", help="likewise, by a profile of your own"
    )


def _phantom(options: argparse.Namespace) -> int:
    from birads_lib.tiles.phantom import write_phantom

    with _Bar("tiles") as bar:
        write_phantom(
            options.out,
            scale=options.scale,
            positives=options.positives,
            seed=options.seed,
            scanners=options.scanner,
            progress=bar,
        )
    print(f"{options.out}: simulated tiles written")
    return DONE


def _fetch(options: argparse.Namespace) -> int:
    from birads_lib.tiles import fetch

    if options.folder is None:
        print(fetch.fetch_kaggle() if options.name == "kaggle" else fetch.STEPS[options.name])
        return DONE
    check = fetch.check_folder(options.name, options.folder)
    for line in check.found:
        print(f"found: {line}")
    for line in check.missing:
        _complain(f"{options.folder}: missing: {line}")
    return MISUSED if check.missing else DONE


def _merge(options: argparse.Namespace) -> int:
    from birads_lib.tiles.sources import recognise

    layout = recognise(options.src)
    with _Bar(layout.unit) as bar:
        store = layout.merge(options.src, options.store, bar)
    print(store)
    for note in store.meta["notes"]:
        print(f"note: {one_line(str(note))}")
    return DONE


def _audit(options: argparse.Namespace) -> int:
    from birads_lib.tiles import TileStore
    from birads_lib.tiles.audit import audit

    print(json.dumps(audit(TileStore.open(options.store)), indent=2))
    return DONE


def _cbis_labels(options: argparse.Namespace) -> int:
    from birads_lib.files import write_json
    from birads_lib.tiles.cbis_labels import count_case_files

    counts = count_case_files(options.folder)
    for note in counts["notes"]:
        print(f"note: {one_line(note)}", file=sys.stderr)
    if options.out is None:
        print(json.dumps(counts, indent=2, sort_keys=True))
    else:
        write_json(options.out, counts)
        print(f"{options.out}: {counts['lesion_views']['all']:,} lesion-views counted")
    return DONE


def _study(options: argparse.Namespace) -> int:
    from birads_lib.study.graph import Study, drop_stamp_of_lost_book
    from birads_lib.study.inputs import check_study

    study = Study(options.profile, options.data, options.external)
    check_study(study)
    drop_stamp_of_lost_book()
    chosen = {
        "data": options.data,
        "external": options.external,
        "distribute": options.distribute,
    }
    target = "book" if options.book else "run"
    stopped = _snakemake(options, [target], chosen)
    if stopped == FAILED:
        print("birads: the study stopped; the step's own message stands above", file=sys.stderr)
    if stopped:
        return stopped
    print(f"{study.run}: up to date" + (", book in _build/html" if options.book else ""))
    return DONE


def _snakemake(
    options: argparse.Namespace, targets: list[str], chosen: dict[str, Any], *more: str
) -> int:
    """Run the graph up to its targets; ``MISUSED`` where a step refused its input."""
    from birads_lib.study.graph import environment

    config = [f"profile={options.profile}", *(f"{k}={v}" for k, v in chosen.items() if v)]
    command = [
        sys.executable,
        "-m",
        "snakemake",
        *targets,
        *_executor(options),
        "--nolock",  # its locks outlive a study that was killed
        *STAMPS_DECIDE,
        "--quiet",
        "all",
        *more,
        "--config",
        *config,
    ]
    with only_one(LOCK, ALREADY) as lock, tempfile.TemporaryDirectory(prefix="birads-") as folder:
        with only_one(STEPS_LOCK, LEFT_BEHIND):
            pass
        refused = Path(folder) / "refused"
        told = {**environment(), REFUSED: str(refused)}
        # The lock is held until the graph's own process has ended as well.
        if not run_whole(command, env=told, pass_fds=(lock,)):
            return DONE
        return MISUSED if refused.exists() else FAILED


def _executor(options: argparse.Namespace) -> list[str]:
    """Where Snakemake runs the steps: here, or on the cluster that a profile describes."""
    profile = options.executor_profile
    if options.cluster:
        profile = Path("cluster") / options.cluster
    if profile is None:
        return ["--cores", str(options.cores)]
    if not (profile.is_file() or (profile / "config.yaml").is_file()):
        raise UsageError(
            f"{profile}: no Snakemake profile (config.yaml) there; give the file or its folder"
        )
    return ["--workflow-profile", str(profile)]


def _sweep(options: argparse.Namespace) -> int:
    from birads_lib.errors import one_of
    from birads_lib.study.graph import Study
    from birads_lib.study.inputs import check_study
    from birads_lib.study.sweeps import drop_stamps_of_lost_answers, read_sweeps

    study = Study(options.profile, options.data, options.external)
    sweeps = read_sweeps(options.profile, seeds=options.seeds)
    names = [one_of("sweep", name, sweeps) for name in options.names or sweeps]
    if options.group:
        return _sweep_group(study, sweeps[names[0]], options)
    check_study(study)
    chosen = {"data": options.data, "external": options.external, "seeds": options.seeds}
    chosen["distribute"] = options.distribute
    for name in names:
        drop_stamps_of_lost_answers(study, sweeps[name])
    targets = [f"sweep_{name}" for name in names]
    stopped = _snakemake(options, targets, {**chosen, "sweep": ",".join(names)}, "--keep-going")
    if stopped and not study.stamp("attention").exists():
        if stopped == FAILED:
            message = "the study stopped before the sweep; see the message above"
            print(f"birads: {message}", file=sys.stderr)
        return stopped
    whole = [_collect(study, sweeps[name]) for name in names]
    return DONE if all(whole) else FAILED


def _sweep_group(study: Any, sweep: Any, options: argparse.Namespace) -> int:
    from birads_lib.study.graph import put_stamp
    from birads_lib.study.run import Run
    from birads_lib.study.sweeps import failures, group_stamp, run_group_notebook

    stamp = group_stamp(study, sweep, options.group)
    if options.stamp and options.stamp != stamp:
        raise ChapterError(f"{options.group}: its sources changed while it waited; run it again")
    print(f"{study.run.name}: sweep {sweep.name}, group {options.group}", flush=True)
    if options.distribute:
        os.environ[DISTRIBUTE] = options.distribute  # for the notebook's own process
    with one_of_several(STEPS_LOCK):
        run_group_notebook(study, sweep, options.group, options.seeds)
    found = failures(Run(study.run, sweep.name), sweep.group(options.group))
    for member, reason in found.items():
        print(f"birads: sweep {sweep.name}: {member} failed: {reason}", file=sys.stderr)
    if not found:
        put_stamp(stamp)
    return FAILED if found else DONE


def _collect(study: Any, sweep: Any) -> bool:
    """Collect a sweep, say what is not there, and give whether it is complete."""
    from birads_lib.study.run import Run
    from birads_lib.study.sweeps import collect, results_path

    found = collect(Run(study.run, sweep.name), sweep)
    for member, reason in found["failed"].items():
        print(f"birads: sweep {sweep.name}: {member} failed: {reason}", file=sys.stderr)
    for training in found["missing"]:
        print(f"birads: sweep {sweep.name}: {training}: not finished", file=sys.stderr)
    state = "complete" if found["complete"] else "incomplete; run it again to go on"
    print(f"{results_path(study.run, sweep.name)}: {len(found['members'])} members, {state}")
    return bool(found["complete"])


def _serve(options: argparse.Namespace) -> int:
    from birads_lib.study.server import book_server

    with book_server(options.port) as server:
        print(f"http://localhost:{server.server_port} (Ctrl-C ends it)", flush=True)
        server.serve_forever()
    return DONE


def _step(options: argparse.Namespace) -> int:
    from birads_lib.errors import one_of
    from birads_lib.study.graph import CHAPTERS, Study, book_stamp, drop_stamps, put_stamp

    study = Study(options.profile, options.data, options.external)
    step = one_of("step", options.name, ("data", *CHAPTERS, "results", "html"))
    if options.distribute:
        os.environ[DISTRIBUTE] = options.distribute  # for the chapter's own process
    if chosen_distribution() == HOSTS:
        one_of("step on several hosts", step, CHAPTERS)
        if not read_member().chief:
            study.help_chapter(step)
            return DONE
    # Taken before the step runs: what changes meanwhile is not what ran.
    stamp = book_stamp(study) if step == "html" else study.stamp(step)
    if options.stamp and options.stamp != stamp:
        raise ChapterError(f"{step}: its sources changed while the study ran; run it again")
    print(f"{study.run.name}: {step}", flush=True)
    with one_of_several(STEPS_LOCK):
        drop_stamps(study, step)
        _do_step(study, step)
        put_stamp(stamp)
    return DONE


def _do_step(study: Any, step: str) -> None:
    if step == "data":
        if study.data is None:
            _write_simulated(study)
    elif step == "results":
        study.collect()
    elif step == "html":
        from birads_lib.study.book import build_book
        from birads_lib.study.machine import timed_step

        with timed_step(study.run, step):
            build_book(study.run)
    else:
        study.run_chapter(step)


def _write_simulated(study: Any) -> None:
    import shutil

    from birads_lib.study.machine import timed_step
    from birads_lib.tiles.phantom import write_phantom

    shutil.rmtree(study.source, ignore_errors=True)
    with timed_step(study.run, "data"), _Bar("simulated tiles") as bar:
        write_phantom(study.source, **study.profile.phantom, progress=bar)


def _predict(options: argparse.Namespace) -> int:
    from birads_lib.prediction import resumable_table

    with resumable_table(options.out) if options.out else contextlib.nullcontext() as table:
        return _predict_into(table, options)


def _predict_into(table: ResumableTable | None, options: argparse.Namespace) -> int:
    """Write answers to a table, or print them."""
    from birads_lib.prediction import check_inputs, parts_of, read_part

    refused: list[DataError] = []
    if not options.keep_going:
        check_inputs(options.inputs)
    cascade = _open_cascade(options.model, options.engine)
    parts = parts_of(options.inputs, refused.append if options.keep_going else None)
    read = 0
    if table is None:
        for part in parts:
            read_part(cascade, part).to_csv(sys.stdout, index=False, header=not read)
            read += len(part)
    else:
        model = _told_apart_by(options.model, options.engine)
        with _Bar("tiles") as bar:
            for part in parts:
                table.add(cascade, part, model)
                read = table.rows
                bar(read, None)
    for error in refused:
        _complain(str(error))
    if table is not None:
        table.write()
        again = f", {table.reused:,} of them by an earlier run" if table.reused else ""
        print(f"{table.out}: {table.rows:,} tiles{again}. {NOTICE}", file=sys.stderr)
    if not refused:
        return DONE
    count = f"{len(refused):,} of {len(options.inputs):,} inputs"
    print(f"birads: {count} could not be read; they are listed above", file=sys.stderr)
    return FAILED if read else MISUSED


def _told_apart_by(model: Path, engine: str) -> str:
    """What tells a saved or exported cascade, and what runs it, from others."""
    from birads_lib.cascade import DESCRIPTION
    from birads_lib.deployment import MANIFEST
    from birads_lib.files import sha256

    about = next(path for path in (model / DESCRIPTION, model / MANIFEST) if path.is_file())
    return f"{sha256(about)} {engine}"


def _open_cascade(model: Path, engine: str) -> Any:
    """A saved cascade run by an engine, or an exported one run by that of its form."""
    from birads_lib import Cascade
    from birads_lib.cascade import DESCRIPTION

    if not (model / DESCRIPTION).is_file():
        from birads_lib.deployment import MANIFEST, read_export

        if (model / MANIFEST).is_file():
            return read_export(model)
    return Cascade.load(model, engine)


def _report(options: argparse.Namespace) -> int:
    from birads_lib.report import write_report

    write_report(options.inputs, options.out, options.model, options.engine)
    print(f"{options.out}: report written. {NOTICE}", file=sys.stderr)
    return DONE


def _export(options: argparse.Namespace) -> int:
    from birads_lib.deployment import export_cascade

    manifest = export_cascade(
        options.model, options.out, options.format, options.int8, options.tiles, options.seed
    )
    size = sum(file["bytes"] for file in manifest["files"].values()) / 1e6
    print(f"{options.out}: {manifest['form']}, {manifest['precision']}, {size:.1f} MB. {NOTICE}")
    if manifest["quantization"]:
        from birads_lib.quantization import loss_in_words

        for line in loss_in_words(manifest["quantization"]):
            print(line)
    return DONE


def _verify(options: argparse.Namespace) -> int:
    from birads_lib.tiles.store import META, TileStore, verify_store

    if (options.path / META).exists():
        found = verify_store(TileStore.open(options.path))
    else:
        from birads_lib.study.ledger import verify_run

        found = verify_run(options.path)
    for line in found:
        _complain(line)
    if not found:
        print(f"{options.path}: as written")
    return MISUSED if found else DONE


class _Bar:
    """A progress bar on a terminal, one plain line at the end elsewhere."""

    def __init__(self, unit: str):
        from tqdm import tqdm

        self._bar = tqdm(unit=f" {unit}", disable=not sys.stderr.isatty())
        self._unit = unit

    def __enter__(self) -> Callable[[int, int | None], None]:
        return self._move

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def _move(self, done: int, total: int | None) -> None:
        self._bar.total = total
        self._bar.update(done - self._bar.n)
        if self._bar.disable and done == total:
            print(f"{done:,} {self._unit}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())

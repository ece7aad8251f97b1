"""`latency`: when the first audio comes, whether a player ever waits, and what low latency costs in all."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import typer

from bark_client import BarkClient
from bark_serving.bundle import MINIATURE
from bark_serving.cli.console import steps
from benchmarks import machine, results, servers, variants
from benchmarks import options as opt
from benchmarks.bundles import Size
from benchmarks.errors import BenchmarkError
from benchmarks.plots import bar_groups, colours_of, legend_above, server_of, tidy
from benchmarks.results import Measurement, Result
from benchmarks.running import errors_shown, finish, prepare, require
from benchmarks.tables import Table, caption, duration, number, times
from benchmarks.work import ENDLESS

Mode = Literal["normal", "low"]
MODES: tuple[Mode, ...] = ("normal", "low")
FIRST, PAUSE, RTF = "first audio", "longest pause", "real-time factor"
#: Sentences that the miniature reads well; each is about 3 s of its speech.
_SENTENCES = (
    "I made a cup of tea for my sister this morning.",
    "The cat sat by the door and looked at the rain.",
    "We walked along the river to the old stone bridge.",
)
_LONG = "The quick brown fox jumps over the lazy dog, and nobody in the whole wide valley seems to mind it at all."
_PIECE_S = 10.0  #: longest piece of a text whose length is fixed


@dataclass(frozen=True)
class Text:
    """A text, and the seconds that each of its pieces is fixed to; None: it ends by itself."""

    name: str
    words: str
    piece_s: float | None = None


NATURAL = (
    Text("1 s", "Good morning to you."),
    Text("3 s", _SENTENCES[0]),
    Text("10 s", " ".join(_SENTENCES)),
    Text("30 s", " ".join(_SENTENCES * 3)),
)
FIXED = (
    Text("1 s", "Good morning to you.", 1.0),
    Text("10 s", _LONG, _PIECE_S),
    Text("30 s", " ".join([_LONG] * 3), _PIECE_S),
)


def command(
    url: opt.Url = None,
    size: Annotated[
        Size | None,
        typer.Option("--size", help="Random weights of this size, and speech of fixed length, not the miniature."),
    ] = None,
    bundle: opt.Bundle = None,
    variant: opt.OneVariant = "cpu int8",
    speed: Annotated[Literal["exact", "fast"], typer.Option(help="The speed of all requests.")] = "fast",
    at_once: Annotated[
        list[int] | None,
        typer.Option("--at-once", min=1, help="Requests in flight; may be repeated. Default: 1, 4."),
    ] = None,
    text: Annotated[
        list[str] | None, typer.Option("--text", help="'1 s', '10 s' or '30 s'; may be repeated. Default: all.")
    ] = None,
    repeats: opt.Repeats = 3,
    threads: opt.Threads = None,
    engines: opt.Engines = opt.ENGINES,
    output: opt.Output = None,
) -> None:
    """When does speech begin, and does it pause? Normal and low latency through Triton, in turns.

    *First audio* is the time from the request to its first chunk at the client. *Longest pause* is how long a player
    that begins with the first chunk has to wait for a later one. *Real-time factor* is the time of the whole request
    per second of audio. With several requests in flight, each counts.

    Try it: `python -m benchmarks latency --repeats 1 --at-once 1`

    To keep: `python -m benchmarks latency --size small -o benchmarks/results/latency-small.json`
    """
    with errors_shown():
        require("matplotlib")
        here, count, chosen = machine.describe(), opt.threads_of(threads), variants.find(variant)
        prepared = None
        if url is None:
            given = bundle if bundle or size else MINIATURE
            prepared = prepare(size or "tiny", given, variants=[chosen], engines=engines)
        known = FIXED if size else NATURAL
        trial = Trial(
            texts=choose(text, known),
            at_once=at_once or [1, 4],
            repeats=repeats,
            options={**servers.options_of(prepared, chosen), "speed": speed, "language": "en", "retries": 0},
        )
        with (
            servers.target(url, prepared, variant=chosen, threads=count) as server,
            BarkClient(server.url) as client,
            steps(trial.step_count) as step,
        ):
            measured = measure(client, trial, on_step=step)
        what = url.replace(":", "-") if url else (size or (bundle.name if bundle else "miniature"))
        settings = {
            **servers.described(url, chosen, bundle=what, threads=count),
            "speed": speed,
            "repeats": repeats,
        }
        result = results.make("latency", measured, on=here, settings=settings)
        finish(result, opt.output_of(output, "latency", what=what), table=table, plot=plot)


def choose(names: Sequence[str] | None, known: Sequence[Text]) -> Sequence[Text]:
    """The texts of these names, or all. Raises `BenchmarkError` for a name that no text has."""
    unknown = set(names or ()) - {text.name for text in known}
    if unknown:
        raise BenchmarkError(
            f"There is no text of {min(unknown)!r}.", remedy=f"Name {', '.join(text.name for text in known)}."
        )
    return [text for text in known if not names or text.name in names]


@dataclass(frozen=True)
class Trial:
    """What is spoken, how many requests at once, and how often."""

    texts: Sequence[Text]
    at_once: Sequence[int]
    repeats: int
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def step_count(self) -> int:
        return len(MODES) * (1 + len(self.texts) * len(self.at_once) * self.repeats)

    def runs(self) -> Iterator[tuple[Text, int, int]]:
        """Text, requests at once and number of each run, in turns."""
        for turn in range(self.repeats):
            for text in self.texts:
                for count in self.at_once:
                    yield text, count, turn


@dataclass(frozen=True)
class Heard:
    """What a client heard of one request."""

    arrivals: Sequence[float]  #: seconds from the request to each chunk
    lengths: Sequence[float]  #: seconds of audio of each chunk
    seconds: float  #: of the whole request

    def figures(self) -> dict[str, float]:
        """The metrics of one request."""
        return {FIRST: self.arrivals[0], PAUSE: longest_pause(self.arrivals, self.lengths), RTF: self.real_time_factor}

    @property
    def real_time_factor(self) -> float:
        return self.seconds / sum(self.lengths)


def longest_pause(arrivals: Sequence[float], lengths: Sequence[float]) -> float:
    """Seconds that a player waits at most for a chunk, if it begins with the first one and plays each in full."""
    longest, ends = 0.0, arrivals[0]
    for arrival, length in zip(arrivals, lengths, strict=True):
        longest = max(longest, arrival - ends)
        ends = max(ends, arrival) + length
    return longest


def measure(client: BarkClient, trial: Trial, *, on_step: Callable[[str], None]) -> list[Measurement]:
    """First audio, longest pause and real-time factor of each text, number of requests and mode."""
    samples: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for mode in MODES:
        on_step(f"{mode}: warm-up")
        _hear(client, trial.texts[0], trial.options, mode=mode, seed=0)
    for text, count, turn in trial.runs():
        for mode in MODES:
            case = f"{text.name}, {count} at once" if count > 1 else text.name
            on_step(f"{mode}: {case}, {turn + 1} of {trial.repeats}")

            def hear(seed: int, text: Text = text, mode: Mode = mode) -> Heard:
                return _hear(client, text, trial.options, mode=mode, seed=seed)

            with ThreadPoolExecutor(count) as pool:
                heard = list(pool.map(hear, range(turn * count, (turn + 1) * count)))
            for one in heard:
                for metric, value in one.figures().items():
                    samples[case, mode, metric].append(value)
    units = {FIRST: "s", PAUSE: "s", RTF: "×"}
    return [
        Measurement(case=case, subject=mode, metric=metric, unit=units[metric], samples=tuple(values))
        for (case, mode, metric), values in samples.items()
    ]


def _hear(client: BarkClient, text: Text, options: Mapping[str, Any], *, mode: Mode, seed: int) -> Heard:
    fixed: dict[str, Any] = {} if text.piece_s is None else {"max_duration": text.piece_s, "min_eos_p": ENDLESS}
    arrivals, lengths = [], []
    started = time.perf_counter()
    with client.stream(text.words, seed=seed, latency=mode, **options, **fixed) as stream:
        for chunk in stream:
            if chunk.seconds:
                arrivals.append(time.perf_counter() - started)
                lengths.append(chunk.seconds)
    if not arrivals:
        raise BenchmarkError(f"Nothing was said of {text.words!r}.", remedy="Give a bundle that speaks, or --size.")
    return Heard(arrivals, lengths, time.perf_counter() - started)


def table(result: Result) -> Table:
    """One row per text and number of requests; the two modes side by side."""
    rows = []
    for case in result.cases(FIRST):
        cells = [case]
        for metric, shown in ((FIRST, duration), (PAUSE, duration), (RTF, number)):
            normal, low = (result.find(case=case, subject=mode, metric=metric) for mode in MODES)
            assert normal is not None and low is not None
            cells += [shown(normal.median), shown(low.median)]
            if metric != PAUSE:
                cells.append(times(low.median / normal.median))
        rows.append(cells)
    header = ["text", "first audio, normal", "low", "ratio", "longest pause, normal", "low"]
    header += ["RTF, normal", "low", "ratio"]
    return Table(header, rows, caption(result, more=[f"speed {result.settings['speed']}"]))


def plot(result: Result, figure: Any) -> None:
    """First audio and longest pause: one group of bars per text, one bar per mode."""
    colours = colours_of(list(MODES))
    left, right = figure.subplots(1, 2)
    for axes, metric, title in ((left, FIRST, "First audio, s"), (right, PAUSE, "Longest pause, s")):
        bar_groups(axes, result, colours, metric, lambda m: m.median)
        axes.set_ylim(0, max(0.1, axes.get_ylim()[1]))  # nobody waits less than not at all
        axes.tick_params(axis="x", labelsize=7)
        tidy(axes, f"{title}: {server_of(result)}" if axes is left else title)
    legend_above(figure, left)

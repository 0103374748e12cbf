"""`tocsin backtest`: recorded incidents through a policy, in virtual time. It holds no sender and writes nothing."""

import asyncio
import os
import re
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from pipeline.audit.places import place_of
from pipeline.commands import backtests
from pipeline.commands.replay import ARCHIVE
from pipeline.errors import ConfigurationError, NotFound
from pipeline.policy.words import spelled
from pipeline.replay import sources
from pipeline.replay.backtest import Trial
from pipeline.replay.backtest import backtest as tried
from pipeline.replay.census import EXAMPLE, example, read_census
from pipeline.replay.difference import counted
from pipeline.replay.findings import Found, Report
from pipeline.replay.past import Past
from pipeline.replay.rerun import Conditions
from pipeline.replay.results import Prices
from pipeline.replay.spans import counted as many
from pipeline.replay.sums import summed
from pipeline.settings import Settings
from schemas.census import AudienceCount

_AFTER = re.compile(r"after=(\d{1,4})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def backtest(
    policy: Annotated[str, typer.Option(help="A directory of documents, a policy that ships, or a version's hash.")],
    files: Annotated[list[Path] | None, typer.Argument(help="Recorded incidents.", show_default=False)] = None,
    against: Annotated[str | None, typer.Option(help="Another policy: say what differs, notice by notice.")] = None,
    from_log: Annotated[
        bool, typer.Option("--from-log", help="The incidents of the running system's journal.")
    ] = False,
    archive: Annotated[str | None, ARCHIVE] = None,
    incident: Annotated[str | None, typer.Option(help="Only this incident, in full.")] = None,
    census: Annotated[Path | None, typer.Option(help="JSON: how many are in each audience; unset: an example.")] = None,
    approvals: Annotated[
        str, typer.Option(help="none: nobody approves anything; after=10m: everything is approved after so long.")
    ] = "none",
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write a report to look at, one file.", dir_okay=False)] = None,
    picture: Annotated[Path | None, typer.Option(help="Write the picture of silence, one SVG.", dir_okay=False)] = None,
    everything: Annotated[bool, typer.Option("--all", help="List every incident and every reason.")] = False,
    sms_price: Annotated[float, typer.Option(min=0, help="USD for an SMS segment.")] = Prices().sms,
    x_price: Annotated[float, typer.Option(min=0, help="USD for a post on X.")] = Prices().x,
    x_url_price: Annotated[float, typer.Option(min=0, help="USD for a post on X with a link.")] = Prices().x_url,
    jobs: Annotated[int, typer.Option(min=1, help="Processes to share the work.")] = os.cpu_count() or 1,
) -> None:
    """Run recorded incidents through a policy in virtual time: who would have been told what, when, and at what cost.

    Exit status 1 where a promise of Tocsin's own is broken, or someone told "open" would never be told "resolved".
    """
    began = time.perf_counter()
    after = _approvals(approvals)
    prices = Prices(sms_price, x_price, x_url_price)
    pasts, versions, given, census_from = asyncio.run(_sources(files or [], from_log, archive, census))
    if incident is not None:
        pasts = _only(pasts, incident)

    def found(name: str) -> Found:
        compiled = sources.policy_called(name, versions)
        counts = given if given is not None else example(compiled)
        results = tried(pasts, Trial(Conditions(compiled, counts, after), prices), jobs)
        return Found(compiled, counts, results, summed(results, prices))

    said = f"everything is approved after {spelled(after)}" if after is not None else "nobody approves anything"
    report = Report(found(policy), found(against) if against else None, census_from, said, prices)
    _write(report, html, picture)
    if as_json:
        sys.stdout.buffer.write(to_json(report))
    else:
        for line in lines(report, everything, in_full=incident is not None):
            typer.echo(line)
        took = time.perf_counter() - began
        typer.echo(f"\n{many(len(pasts), 'incident')} in {took:.1f} s" + (f"; the report is {html}" if html else ""))
    problems = list(backtests.problems(report.new.sums))
    for problem in problems:
        typer.secho(problem, fg=typer.colors.RED, err=True)
    if problems:
        raise typer.Exit(1)


def _write(report: Report, html: Path | None, picture: Path | None) -> None:
    """The files that were asked for. Raises ConfigurationError where one cannot be written."""
    if html is None and picture is None:
        return
    from pipeline.replay.report import page, silence  # its templates are not compiled where nobody looks

    for path, made in ((html, page), (picture, silence)):
        if path is not None:
            try:
                path.write_text(made(report), encoding="utf-8")
            except OSError as error:
                raise ConfigurationError(f"{path} cannot be written: {error.strerror}") from None


def lines(report: Report, everything: bool, in_full: bool) -> list[str]:
    """The report as text."""
    new, old = report.new, report.old
    found = [
        f"{new.policy.name} {new.policy.hash[:12]}"
        + (f" against {old.policy.name} {old.policy.hash[:12]}" if old else "")
        + f": {many(len(new.results), 'incident')}, {many(new.sums.events, 'event')}",
        *backtests.wrapped(f"readers: {report.census_from}; {report.approvals}"),
        "",
    ]
    if in_full:
        for result in new.results:
            found += backtests.in_full(result)
    else:
        found += backtests.summary(new.sums, everything)
        found += ["", *backtests.incident_lines(new.results, everything)]
    if old:
        found += ["", *backtests.difference_lines(report.difference, everything or in_full)]
    return found


def to_json(report: Report) -> bytes:
    """The report for programs: the same bytes for the same input, however many processes shared the work."""
    new, old = report.new, report.old
    said: dict[str, Any] = {
        "policy": {"name": new.policy.name, "hash": new.policy.hash},
        "readers": {
            "from": report.census_from,
            "audiences": {n: c.model_dump(mode="json") for n, c in new.census.items()},
        },
        "approvals": report.approvals,
        "prices_usd": report.prices,
        "incidents": len(new.results),
        "sums": new.sums,
        "sound": new.sums.sound,
    }
    if old:
        difference = report.difference
        said["against"] = {"name": old.policy.name, "hash": old.policy.hash, "sums": old.sums}
        said["difference"] = {"counts": counted(difference), "per_incident": [one for one in difference if one.changes]}
    said["per_incident"] = new.results
    return orjson.dumps(said, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE)


async def _sources(
    files: list[Path], from_log: bool, archive: str | None, census: Path | None
) -> tuple[list[Past], list[Any], dict[str, AudienceCount] | None, str]:
    """The incidents, the published versions, and the census (None: an example) with where it is from."""
    if from_log + bool(files) + (archive is not None) != 1:
        raise ConfigurationError("name files of recorded incidents, --from-log or --archive, and only one of them")
    given = read_census(census) if census else None
    if files:
        return sources.pasts_from(files), [], given, str(census) if census else EXAMPLE
    settings = Settings()
    place = place_of(settings, archive=archive)
    pasts, versions = await sources.pasts_from_log(place), await sources.published(place)
    if not pasts:
        raise NotFound("the journal holds no incident yet")
    if given is None and from_log and (counted_last := await sources.census_from_log(settings)):
        return pasts, versions, counted_last, "as the running system counted them last"
    return pasts, versions, given, str(census) if census else EXAMPLE


def _only(pasts: list[Past], incident: str) -> list[Past]:
    found = [past for past in pasts if past.incident == incident]
    if not found:
        raise NotFound(f"no incident {incident!r} among {len(pasts)}; the first is {pasts[0].incident!r}")
    return found


def _approvals(text: str) -> timedelta | None:
    if text == "none":
        return None
    if (found := _AFTER.fullmatch(text)) is None:
        raise typer.BadParameter(f"{text!r} is neither `none` nor like `after=10m`", param_hint="--approvals")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})

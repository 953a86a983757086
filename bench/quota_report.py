"""Print the tables of a measurement with bench/quota.py, and draw its picture.

    quota_report.py FILE [--plot PNG]

With `-` in place of FILE, the script reads standard input.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from math import nan
from pathlib import Path
from typing import Any

WINDOW = 10  # the length of a window in seconds, for the shares over time
HELD = 0.95
BUSY = 0.70  # the share of the machine's time; above it, the machine slows down the clients

Result = dict[str, Any]


def column(result: Result) -> dict[str, Any]:
    """Return the values in the table row of one run."""
    before, after = result["before"], result["after"]
    elapsed = after["at"] - before["at"]
    answered = after["answered"] - before["answered"]
    throttled = sum(after["throttled"].values()) - sum(before["throttled"].values())
    charged = after["tokens"]["charged"] - before["tokens"]["charged"]
    limits = result["limits"][int(result["warm"]) :]
    begun = [call for call in result["calls"] if 0 <= call[0] - result["warm"] < result["seconds"]]
    return {
        "used": charged / (sum(limits) / len(limits) * elapsed),
        "throttled": throttled / max(1, answered),
        "requests": (after["arrived"] - before["arrived"]) / max(1, answered),
        "tokens": charged / max(1, answered),
        "round": result["workers"] * result["processes"] / max(1e-9, answered / elapsed),
        "errors": Counter(call[4] for call in begun if call[4]),
        "jain": jain(before["callers"], after["callers"]),
        "busy": (after["busy"] - before["busy"]) / max(1.0, after["ticks"] - before["ticks"]),
        "times": {
            kind: times([call for call in begun if call[3] == kind and not call[4]], ended(result))
            for kind in ("batch", "interactive")
        },
    }


def ended(result: Result) -> float:
    return float(result["warm"] + result["seconds"] + result["tail"])


def times(calls: list[list[Any]], end: float) -> dict[str, float]:
    """Return percentiles of the seconds from the start to the end of a call, and of these seconds without the model's
    time.
    """
    inside = [end - call[0] if call[1] is None else call[1] for call in calls]
    waits = [spent - (call[2] or 0.0) for spent, call in zip(inside, calls, strict=True)]
    found = {"inside": sorted(inside), "wait": sorted(waits)}
    return {
        f"{name}{share}": values[share * len(values) // 100] if values else nan
        for name, values in found.items()
        for share in (50, 99)
    }


def jain(before: dict[str, Any], after: dict[str, Any]) -> float:
    """Return Jain's index of the processes' shares of the settled tokens. It is 1 if all shares are equal, and 1/n if
    one process has everything.

    Jain, Chiu, Hawe: A Quantitative Measure of Fairness, DEC-TR-301, 1984.
    """
    parts = [
        share["tokens"] - before.get(name, {}).get("tokens", 0.0) for name, share in after.items() if name != "unsigned"
    ]
    return sum(parts) ** 2 / (len(parts) * sum(part**2 for part in parts)) if any(parts) else nan


def shares(result: Result) -> list[float]:
    """Return the settled share of the quota in each window after the start."""
    tokens, limits = result["tokens"], result["limits"]
    starts = range(0, len(tokens) - WINDOW + 1, WINDOW)
    return [sum(tokens[at : at + WINDOW]) / sum(limits[at : at + WINDOW]) for at in starts]


def held(parts: list[float]) -> int | None:
    """Return the seconds after which the use stays high, or None. From then on, the first window and the mean of all
    windows reach the share `HELD` of the quota.
    """
    for number, part in enumerate(parts):
        rest = parts[number:]
        if part >= HELD and sum(rest) / len(rest) >= HELD:
            return number * WINDOW
    return None


def plain(results: list[Result]) -> None:
    several = results[0]["processes"] > 1
    heads = (
        ("", "settled", "throttled", "failed", "requests", "tokens", "p50", "p99", "p99 / fair", "Jain" * several),
        ("", "/ quota", "/ answered", "calls", "/ answer", "/ answer", "s", "s", "turn", ""),
    )
    for head in heads:
        print("{:16}{:>8}{:>11}{:>8}{:>10}{:>10}{:>8}{:>8}{:>12}{:>8}".format(*head).rstrip())
    for result in results:
        if "refused" in result:
            print(f"{result['client']:16}{result['refused']}")
            continue
        row = column(result)
        spent = row["times"]["batch"]
        fairness = f"{row['jain']:8.3f}" if several else ""
        print(
            f"{result['client']:16}{row['used']:8.3f}{row['throttled']:11.3f}{sum(row['errors'].values()):8}"
            f"{row['requests']:10.3f}{row['tokens']:10.0f}{spent['inside50']:8.2f}{spent['inside99']:8.2f}"
            f"{spent['inside99'] / row['round']:12.2f}{fairness}"
            f"{said(row['errors'])}"
        )
        if result["kill"]:
            print(f"  store gone at {result['warm'] + result['seconds'] // 3:.0f} s; {windows(shares(result))}")


def mixed(results: list[Result]) -> None:
    print(
        f"{'':16}{'settled':>8}{'throttled':>11}{'failed':>8}   {'wait of interactive':^21}   {'wait of batch':^18}\n"
        f"{'':16}{'/ quota':>8}{'/ answered':>11}{'calls':>8}   {'p50 s':>10}{'p99 s':>10} {'p50 s':>10}{'p99 s':>10}"
    )
    for result in results:
        if "refused" in result:
            print(f"{result['client']:16}{result['refused']}")
            continue
        row = column(result)
        first, other = row["times"]["interactive"], row["times"]["batch"]
        print(
            f"{result['client']:16}{row['used']:8.3f}{row['throttled']:11.3f}{sum(row['errors'].values()):8}   "
            f"{first['wait50']:10.2f}{first['wait99']:10.2f} {other['wait50']:10.2f}{other['wait99']:10.2f}"
            f"{said(row['errors'])}"
        )


def changes(results: list[Result]) -> None:
    print(f"settled share of the quota of the moment, in windows of {WINDOW} s, %")
    for result in results:
        if "refused" in result:
            print(f"{result['client']:16}{result['refused']}")
            continue
        row, parts = column(result), shares(result)
        edges = [0, *(int(at) // WINDOW for at, _ in result["changes"]), len(parts)]
        print(
            f"{result['client']}: settled / quota {row['used']:.3f}, throttled / answered {row['throttled']:.3f}, "
            f"failed {sum(row['errors'].values())}"
        )
        for name, start, end in zip(("at first", "halved", "doubled"), edges, edges[1:], strict=False):
            since = held(parts[start:end])
            when = "never" if since is None else f"from {since} s on"
            print(f"  {name:9}{windows(parts[start:end])}; {HELD:.0%} held {when}")


def windows(parts: list[float]) -> str:
    return " ".join(f"{part * 100:.0f}" for part in parts)


def said(errors: Counter[str]) -> str:
    return "  " + ", ".join(f"{name} {count}" for name, count in errors.most_common(2)) if errors else ""


def draw(results: list[Result], path: Path) -> None:
    """Draw the shares over time and the p99, with one column for each discipline."""
    import matplotlib as mpl  # type: ignore[import-not-found, unused-ignore]

    mpl.use("Agg")
    import matplotlib.pyplot as plt  # type: ignore[import-not-found, unused-ignore]

    results = [result for result in results if "refused" not in result]
    disciplines = list(dict.fromkeys(result["discipline"] for result in results))
    clients = list(dict.fromkeys(result["client"] for result in results))
    colours = dict(zip(clients, plt.get_cmap("tab10").colors, strict=False))
    width = max(8.0, 3.4 * len(disciplines))
    figure, axes = plt.subplots(
        2, len(disciplines), figsize=(width, 5.6), squeeze=False, sharey="row", height_ratios=(3, 2)
    )
    for above, below, discipline in zip(axes[0], axes[1], disciplines, strict=True):
        these = {result["client"]: result for result in results if result["discipline"] == discipline}
        for client, result in these.items():
            parts = smooth(shares(result))
            style = {"linewidth": 2.4, "zorder": 3} if client.startswith("ours") else {"linewidth": 1.2}
            above.plot([WINDOW * (at + 0.5) for at in range(len(parts))], parts, color=colours[client], **style)
        above.set(title=discipline, xlabel="seconds", ylim=(0, 1.6))
        above.axhline(1, color="black", linewidth=0.6, linestyle=":")
        above.axvspan(0, next(iter(these.values()))["warm"], color="black", alpha=0.05, linewidth=0)
        bars(below, these, colours)
    axes[0][0].set_ylabel("settled share of the quota,\nmean of the minute before")
    axes[1][0].invert_yaxis()
    for ax in axes.flat:
        ax.spines[["top", "right"]].set_visible(False)
    lines = [plt.Line2D([], [], color=colours[client], linewidth=2.4) for client in clients]
    figure.legend(lines, clients, ncols=len(clients), loc="upper center", frameon=False, columnspacing=1.2)
    figure.tight_layout(rect=(0, 0, 1, 0.94))
    figure.savefig(path, dpi=80)


def bars(ax: Any, results: dict[str, Result], colours: dict[str, Any]) -> None:
    """Draw the p99 of each client. Failed calls have no time, so their number is shown next to it."""
    rows = {client: column(result) for client, result in results.items()}
    failed = {client: sum(row["errors"].values()) for client, row in rows.items()}
    p99 = {client: row["times"]["batch"]["inside99"] for client, row in rows.items()}
    drawn = ax.barh(list(p99), list(p99.values()), color=[colours[client] for client in p99])
    labels = [f" {p99[client]:.1f}" + (f", {failed[client]:,} failed" if failed[client] else "") for client in p99]
    ax.bar_label(drawn, labels, fontsize=8)
    ax.set(xlabel="p99 of the time in the system, s", xlim=(0, 1.4 * max(p99.values())))


def smooth(parts: list[float]) -> list[float]:
    """Return, for each window, the mean of the minute that ends with it. A service with fixed windows admits many calls
    at the beginning of a minute and then none.
    """
    return [sum(parts[max(0, at - 5) : at + 1]) / len(parts[max(0, at - 5) : at + 1]) for at in range(len(parts))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    data = json.loads(sys.stdin.read() if options.file == "-" else Path(options.file).read_text())
    results = data["results"]
    for discipline in dict.fromkeys(result["discipline"] for result in results):
        these = [result for result in results if result["discipline"] == discipline]
        rows = [column(result) for result in these if "refused" not in result]
        busy = max((row["busy"] for row in rows), default=0.0)
        print(
            f"\n{discipline}: warm-up {these[0]['warm']:.0f} s, then {these[0]['seconds']:.0f} s; "
            f"machine {busy:.0%} busy{' - TOO BUSY, the times are unreliable' if busy > BUSY else ''}"
        )
        {"plain": plain, "mixed": mixed, "changes": changes}[data["mode"]](these)
    if options.plot:
        draw(results, options.plot)


if __name__ == "__main__":
    main()

"""Tables of what bench/run wrote: medians with min-max, and what is ours by what is theirs."""

import statistics

OURS = ("ftxferd, protocol 2", "ftxferd")  # the first one that takes part
NOISE = 0.05  # what other programs may take of the machine before we say so


def load_columns(results, run):
    return [tuple(column) for column in results["workloads"][run["workload"]]["columns"]]


def values(run, key):
    return [figures[key] for figures in run["rounds"] if key in figures]


def median(run, key):
    found = values(run, key)
    return statistics.median(found) if found else None


def number(value):
    """Three digits that say something."""
    if value is None:
        return "-"
    if value >= 1000:
        return "{:,.0f}".format(value)
    return "%.*f" % (0 if value >= 100 else 1 if value >= 10 else 2, value)


def with_range(run, key):
    found = values(run, key)
    if len(found) < 2:
        return number(median(run, key))
    return "%s (%s-%s)" % (number(median(run, key)), number(min(found)), number(max(found)))


def groups(results):
    """The runs that are compared with each other: one workload, place and congestion control."""
    found = {}
    for run in results["runs"]:
        found.setdefault((run["workload"], run["place"], run["congestion"]), []).append(run)
    return found


def ratio(ours, run, key):
    mine, theirs = median(ours, key), median(run, key)
    return "%.2f" % (mine / theirs) if mine and theirs else "-"


def layout(rows):
    """The first column to the left, all others to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows)]
    for row in rows:
        cells = [cell.ljust(width) if i == 0 else cell.rjust(width)
                 for i, (cell, width) in enumerate(zip(row, widths))]
        yield "  ".join(cells).rstrip()


def group_table(results, runs):
    """Each peer a line. Behind a figure that has a better end: ours divided by this peer's."""
    columns = load_columns(results, runs[0])
    columns = [column for column in columns if any(values(run, column[0]) for run in runs)]
    by_name = {run["peer"]: run for run in runs}
    ours = next((by_name[name] for name in OURS if name in by_name), None)
    heading = [""]
    for _, text, better in columns:
        heading += [text] + (["ours/it"] if better and ours else [])
    rows = [heading]
    for run in runs:
        row = [run["peer"]]
        for key, _, better in columns:
            row.append(with_range(run, key))
            if better and ours:
                row.append("" if run is ours else ratio(ours, run, key))
        rows.append(row)
    return layout(rows)


def full(results):
    """All of it, as text."""
    yield machine_line(results)
    for (workload, place, congestion), runs in groups(results).items():
        about = results["workloads"][workload]
        yield ""
        yield "%s: %s" % (workload, about["title"])
        yield "    on %s (%s), TCP %s, %d rounds%s" % (
            place, results["places"][place], congestion, max(len(run["rounds"]) for run in runs),
            "" if results["scale"] == 1 else ", sizes x %g" % results["scale"])
        others = statistics.median([value for run in runs for value in values(run, "others")])
        if others > NOISE:
            yield "    NOISE: other programs had %.0f %% of the processors meanwhile" % (100 * others)
        for line in group_table(results, runs):
            yield "    " + line
    for name, why in results["skipped"].items():
        yield "skipped: %s: %s" % (name, why)
    for failure in results["failures"]:
        yield "FAILED: " + failure


def machine_line(results):
    machine = results["machine"]
    return "%s; %s, %d cores, %s GiB, Linux %s; commit %s%s; load %.1f at the start" % (
        results["date"], machine["cpu"], machine["cores"], machine["memory_gib"], machine["kernel"],
        machine["commit"] or "?", " with changes" if machine["changed"] else "", machine["load"])


# README: a line for each workload, a column for each peer, the native pairs as the better one

def best_native(runs, key, better):
    natives = [run for run in runs if run["peer"].startswith("native") and values(run, key)]
    choose = max if better == "high" else min
    return choose(natives, key=lambda run: median(run, key)) if natives else None


def readme_cell(run, keys):
    return "%s / %s" % tuple(number(median(run, key)) for key in keys) if run else "-"


def readme_table(results, headline, chosen):
    """The workloads of one pair of figures, under one congestion control."""
    names = [run["peer"] for runs in chosen.values() for run in runs]
    names = [name for name in dict.fromkeys(names) if not name.startswith(("native", "dd"))]
    rows = [[""] + names + ["native"]]
    for (workload, place, _), runs in chosen.items():
        by_name = {run["peer"]: run for run in runs}
        better = next(c[2] for c in load_columns(results, runs[0]) if c[0] == headline[0])
        cells = [readme_cell(by_name.get(name), headline) for name in names]
        cells.append(readme_cell(best_native(runs, headline[0], better), headline))
        rows.append(["%s, %s" % (workload, place)] + cells)
    return layout(rows)


def readme(results):
    all_groups = groups(results)
    yield machine_line(results)
    for congestion in dict.fromkeys(key[2] for key in all_groups):
        pairs = {}
        for key, runs in all_groups.items():
            headline = tuple(results["workloads"][key[0]]["headline"])
            if key[2] == congestion and headline:
                pairs.setdefault(headline, {})[key] = runs
        for headline, chosen in pairs.items():
            runs = next(iter(chosen.values()))
            texts = dict((key, text) for key, text, _ in load_columns(results, runs[0]))
            yield ""
            yield "TCP %s: %s / %s" % (congestion, texts[headline[0]],
                                       texts[headline[1]].replace("both", "CPU-s/GiB of both ends"))
            for line in readme_table(results, headline, chosen):
                yield "    " + line

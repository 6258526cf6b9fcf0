"""Plots of what bench/run wrote, by gnuplot: throughput, and CPU seconds per GiB, beside the peers."""

import shutil
import subprocess

from tables import groups, median, values

HEAD = """\
set terminal pngcairo size 1200,%(height)d font "sans,11"
set output '%(output)s'
set title '%(title)s'
set xlabel '%(xlabel)s'
set xrange [0:*]
set yrange [%(rows)d.6:-1.6]
set grid xtics
set key outside bottom center horizontal
set style fill solid 0.8 border -1
set ytics (%(tics)s)
unset mouse
"""
# Lying boxes: x low, x high, y, and a colour for ours.
THROUGHPUT = """\
plot '-' using ($2/2):1:($2/2):(0.4):3 with boxxyerror lc rgb variable notitle, \\
     '-' using 2:1:3:4 with xerrorbars lc rgb 'black' pt 0 title 'median, min-max'
"""
CPU = """\
plot '-' using ($2/2):1:($2/2):(0.4) with boxxyerror lc rgb '#4878a8' title 'server', \\
     '-' using ($2+$3/2):1:($3/2):(0.4) with boxxyerror lc rgb '#e8a848' title 'client'
"""
OURS, THEIRS, NATIVE = 0x2e7d32, 0x8899aa, 0xcfd8dc


def colour(peer):
    if peer.startswith("ftxferd"):
        return OURS
    return NATIVE if peer.startswith(("native", "dd")) else THEIRS


def rows_of(results, congestion, key):
    """(y, label, run), each workload below a line of its own, which has no run."""
    rows, y = [], -1
    for (workload, place, name), runs in groups(results).items():
        runs = [run for run in runs if values(run, key)]
        if name != congestion or not runs:
            continue
        rows.append((y, "{/:Bold %s, %s}" % (workload, place), None))
        for run in runs:
            rows.append((y + 1, run["peer"], run))
            y += 1
        y += 2
    return rows


def gnuplot(text):
    done = subprocess.run(["gnuplot"], input=text, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    if done.returncode != 0:
        raise RuntimeError("gnuplot: " + done.stdout)


def block(lines):
    return "".join(line + "\n" for line in lines) + "e\n"


def draw(results, rows, output, title, xlabel, plot, blocks):
    tics = ", ".join('"%s" %d' % (label, y) for y, label, _ in rows)
    title = "%s, %s, %d cores" % (title, results["machine"]["cpu"], results["machine"]["cores"])
    last = rows[-1][0]
    gnuplot(HEAD % {"height": 140 + 18 * (last + 2), "output": output, "title": title,
                    "xlabel": xlabel, "rows": last, "tics": tics}
            + plot + "".join(block(lines) for lines in blocks))


def plot(results, base):
    """Writes BASE-throughput-CC.png and BASE-cpu-CC.png; returns their names, or says why there are none."""
    if not shutil.which("gnuplot"):
        return [], "no plots: there is no gnuplot (Debian: gnuplot-nox)"
    written = []
    for congestion in dict.fromkeys(run["congestion"] for run in results["runs"]):
        rows = rows_of(results, congestion, "gib_s")
        if rows:
            runs = [(y, run) for y, _, run in rows if run]
            boxes = ["%d %f %d" % (y, median(run, "gib_s"), colour(run["peer"]))
                     for y, run in runs]
            bars = ["%d %f %f %f" % (y, median(run, "gib_s"), min(values(run, "gib_s")),
                                     max(values(run, "gib_s"))) for y, run in runs]
            written.append("%s-throughput-%s.png" % (base, congestion))
            draw(results, rows, written[-1], "Throughput, TCP " + congestion, "GiB/s", THROUGHPUT,
                 [boxes, bars])
        rows = rows_of(results, congestion, "both_cpu")
        if rows:
            pairs = ["%d %f %f" % (y, median(run, "server_cpu") or 0, median(run, "client_cpu"))
                     for y, _, run in rows if run]
            written.append("%s-cpu-%s.png" % (base, congestion))
            draw(results, rows, written[-1], "CPU, TCP " + congestion, "CPU seconds per GiB", CPU,
                 [pairs, pairs])
    return written, None

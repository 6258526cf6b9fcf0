# The benchmark: bench/README. Its programs in C are references to measure against; nothing else needs them.

native_programs = \
	bench/native/fetch \
	bench/native/files \
	bench/native/flush \
	bench/native/hold \
	bench/native/keep \
	bench/native/load \
	bench/native/plug \
	bench/native/probe \
	bench/native/serve \
	bench/native/small
EXTRA_PROGRAMS = $(native_programs)
# Each by itself: `bench` is the name of a target, which a tarball would otherwise begin with.
EXTRA_DIST += \
	bench/.clang-tidy \
	bench/README \
	bench/machine.py \
	bench/measure.py \
	bench/peers.py \
	bench/places.py \
	bench/plots.py \
	bench/probes.py \
	bench/report \
	bench/results/2026-11-28-3-cpu-reno.png \
	bench/results/2026-11-28-3-throughput-reno.png \
	bench/results/2026-11-28-3.json \
	bench/results/2026-11-28-4.json \
	bench/results/2026-11-28-5-cpu-bbr.png \
	bench/results/2026-11-28-5-throughput-bbr.png \
	bench/results/2026-11-28-5.json \
	bench/results/2026-11-29.json \
	bench/results/2026-11-29-2.json \
	bench/results/2026-11-29-3.json \
	bench/results/2026-11-29-4.json \
	bench/run \
	bench/tables.py \
	bench/workload.py \
	bench/workloads
CLEANFILES += $(native_programs)

native_common = bench/native/common.c bench/native/common.h
bench_native_fetch_SOURCES = bench/native/fetch.c $(native_common)
bench_native_files_SOURCES = bench/native/files.c $(native_common)
bench_native_flush_SOURCES = bench/native/flush.c $(native_common)
bench_native_hold_SOURCES = bench/native/hold.c $(native_common)
bench_native_keep_SOURCES = bench/native/keep.c
bench_native_load_SOURCES = bench/native/load.c $(native_common)
bench_native_plug_SOURCES = bench/native/plug.c $(native_common)
bench_native_probe_SOURCES = bench/native/probe.c $(native_common)
bench_native_serve_SOURCES = bench/native/serve.c $(native_common)
bench_native_small_SOURCES = bench/native/small.c $(native_common)

# BENCH_ARGS='--workload download --scale 0.1': bench/run --help.
.PHONY: bench
bench: all $(native_programs)
	$(AM_V_at)$(programs_environment) $(PYTHON) '$(srcdir)/bench/run' $(BENCH_ARGS)

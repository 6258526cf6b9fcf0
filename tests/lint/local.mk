# What a machine can say about the text of the project. Each is a program of its own and can be run by hand.

lint_scripts = \
	tests/lint/format \
	tests/lint/layers \
	tests/lint/mandoc \
	tests/lint/options \
	tests/lint/protocol \
	tests/lint/reasons \
	tests/lint/shell \
	tests/lint/size \
	tests/lint/units

TESTS += $(lint_scripts)
dist_check_SCRIPTS += $(lint_scripts)
# They look at the tree that they stand in: it must be whole.
EXTRA_DIST += .ci/run .clang-format .clang-tidy .editorconfig tests/.clang-tidy

# Not in make check: they take minutes.
dist_check_SCRIPTS += tests/lint/static

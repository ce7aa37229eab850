#!/bin/sh
# Writes docs/configuration.md from the program's own tables: `make configuration`. A test compares the two.
set -eu
program=${1:-build/cyclegan}
cat <<'END'
# Configuration

All fields of the configs of `train`, `gatys` and `compare`, as the program itself lists them (`--help` after a command,
or `--help-markdown` for these tables).

Keys with dots are maps in the file: `data.flip` is `flip` in the map `data`. An unknown key, a wrong type, a value out
of range or a key given twice is an error with file, line and column. [formats.md](formats.md) has the rules of the
file itself.

## `train`

With `train.steps` above 0, the length is in steps; else it is in epochs, one being as many steps as the larger folder
has pictures, divided by the batch size.

END
"$program" train --help-markdown
printf '\n## `gatys`\n\n'
"$program" gatys --help-markdown
printf '\n## `compare`\n\nUp to eight methods: the fields of `methods.2` to `methods.8` are as those of `methods.1`.\n\n'
"$program" compare --help-markdown

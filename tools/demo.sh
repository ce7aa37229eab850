#!/bin/sh
# `make demo`: the sample snacks as fractals, by the shipped generator and by one that is trained here and now, on one
# contact sheet. Takes some minutes on two cores.
set -eu
cd "$(dirname "$0")/.."
program=build/cyclegan
out=build/demo
rm -rf "$out"
mkdir -p "$out"
echo "== the test snacks, by the shipped generator"
$program translate --model checkpoints/snacks2fractals.safetensors data/snacks/test -o "$out/shipped"
echo "== training configs/quick.yaml on data/snacks and data/fractals"
$program train configs/quick.yaml --out "$out/run"
echo "== the test snacks, by the fresh generator"
$program translate --model "$out/run/checkpoints/generator_a.safetensors" data/snacks/test -o "$out/fresh"
$program sheet -o "$out/sheet.jpg" snack=data/snacks/test shipped="$out/shipped" fresh="$out/fresh" >/dev/null
echo "input, shipped and fresh results side by side: $out/sheet.jpg"

#!/bin/sh
# `make demo`: the sample snacks as fractals, by the shipped generator and by one that is trained here and now, on one
# contact sheet; and three of them by these and by Gatys on a page. Takes some minutes on two cores.
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
echo "== three snacks by both generators and by Gatys' optimisation, compared"
mkdir -p "$out/inputs"
for number in 062 069 076; do cp "data/snacks/test/snack_$number.jpg" "$out/inputs"; done
$program compare configs/compare.yaml --out "$out/comparison" --set name=demo --set inputs="$out/inputs" \
    --set methods.1.name=shipped --set methods.2.iterations=20 \
    --set methods.3.kind=gan --set methods.3.name=fresh \
    --set methods.3.model="$out/run/checkpoints/generator_a.safetensors"
echo "input, shipped and fresh results side by side: $out/sheet.jpg"
echo "the comparison, for a browser: $out/comparison/index.html"

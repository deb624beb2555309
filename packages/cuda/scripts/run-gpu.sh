#!/usr/bin/env bash
# Runs the conformance suite and the bench on a machine with a GPU, from the folder that scripts/pack-gpu.mjs made:
#   run RESULTS [suite|bench|model|parity|sanitize|ptx|peers]...      default: suite bench
# model: a Llama-3-8B of random weights, which needs at least 60 GB of device memory, beside peers if RESULTS has their
# results. parity: rows and tokens beside those of the CPU backend. sanitize: the suite under compute-sanitizer, with
# memcheck and racecheck. ptx: the suite with PTX for compute capability 8.0 only. peers: transformers and llama.cpp,
# which is built first (4 minutes). Results go to the folder RESULTS.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
results=${1:?the folder for results}; shift
[ $# -gt 0 ] || set -- suite bench
mkdir -p "$results"

node=$(command -v node || true)
if [ -f "$here/node.xz" ]; then
  node=/tmp/ziggurat-node
  if [ ! -x "$node" ]; then
    if command -v xz > /dev/null; then xz -dc "$here/node.xz" > "$node"
    else python3 -c 'import lzma, shutil, sys; shutil.copyfileobj(lzma.open(sys.argv[1]), open(sys.argv[2], "wb"))' "$here/node.xz" "$node"; fi
    chmod +x "$node"
  fi
fi
"$node" --version
# cuBLASLt, if this machine has it; a folder of Python packages counts.
CUBLAS_LT=${CUBLAS_LT-$(find / -name 'libcublasLt.so.1[23]' -not -path '/proc/*' 2> /dev/null | head -1)}
export CUBLAS_LT

work=/tmp/ziggurat-peers
status=0
for what in "$@"; do
  echo "== $what"
  case $what in
    suite) "$node" "$here/suite.mjs" "" "$results/suite.json" > "$results/suite.log" 2>&1 || status=1; head -2 "$results/suite.log"; grep -A1 FAILED "$results/suite.log" | cut -c1-260 | head -60; tail -1 "$results/suite.log" ;;
    bench) "$node" "$here/bench.mjs" "$results/bench.json" 2>&1 | tee "$results/bench.log" || status=1 ;;
    model) PEERS="$results" "$node" "$here/model.mjs" "$results/model.json" 2>&1 | tee "$results/model.log" || status=1 ;;
    parity) "$node" "$here/parity.mjs" compare "$here"/parity-*.json --models "$here" 2>&1 | tee "$results/parity.log" || status=1 ;;
    ptx)
      KERNELS=kernels-ptx.bin CUBLAS_LT= "$node" "$here/suite.mjs" "" "$results/ptx.json" > "$results/ptx.log" 2>&1 || status=1
      grep -A1 FAILED "$results/ptx.log" | cut -c1-260 | head -20; tail -1 "$results/ptx.log" ;;
    peers)
      [ -x "$work/b/bin/llama-bench" ] || bash "$here/peers/build-llama-cpp" "$here/peers" "$work" || status=1
      [ -f "$work/8b.gguf" ] || python3 "$here/peers/random_gguf.py" "$work/8b.gguf" 8b f16
      "$work/b/bin/llama-bench" -m "$work/8b.gguf" -ngl 99 -fa 1 -p 0 -n 64 -d 3932,32768 -r 2 -o json > "$results/llama-decode.json" 2> "$results/llama.log" || status=1
      "$work/b/bin/llama-bench" -m "$work/8b.gguf" -ngl 99 -fa 1 -p 32768 -n 0 -ub 2048 -b 2048 -r 2 -o json > "$results/llama-prefill.json" 2>> "$results/llama.log" || status=1
      "$work/b/bin/llama-batched-bench" -m "$work/8b.gguf" -ngl 99 -fa 1 -c 270000 -npp 3932 -ntg 32 -npl 64 -ub 2048 -b 2048 --output-format jsonl > "$results/llama-batch.jsonl" 2>> "$results/llama.log" || status=1
      OUT="$results" python3 "$here/peers/hf.py" 2>&1 | tail -20 || status=1 ;;
    sanitize)
      for tool in memcheck racecheck; do
        # Aligned and unaligned operands use different kernels; racecheck is slow, so it runs one of them.
        [ "$tool" = memcheck ] && part="aligned > " || part="seed 1, aligned > "
        CUBLAS_LT= compute-sanitizer --tool "$tool" --print-limit 20 "$node" "$here/suite.mjs" "$part" > "$results/$tool.log" 2>&1 || status=1
        echo "$tool:"; grep -E "SUMMARY|passed" "$results/$tool.log"; grep -m5 -A8 "=========" "$results/$tool.log" | head -30
      done ;;
  esac
done
exit $status

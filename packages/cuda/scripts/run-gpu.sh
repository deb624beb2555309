#!/usr/bin/env bash
# Runs the conformance suite and the bench on a GPU machine, from the folder that scripts/pack-gpu.mjs made:
#   run RESULTS [suite|bench|model|sanitize|ptx]...      default: suite bench
# model: a Llama-3-8B of random weights, at least 60 GB of device memory. sanitize: the suite under compute-sanitizer, memcheck and racecheck. Results go to the folder RESULTS.
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
# cuBLASLt, where this machine has it, in a folder of Python packages too.
CUBLAS_LT=${CUBLAS_LT-$(find / -name 'libcublasLt.so.1[23]' -not -path '/proc/*' 2> /dev/null | head -1)}
export CUBLAS_LT

status=0
for what in "$@"; do
  echo "== $what"
  case $what in
    suite) "$node" "$here/suite.mjs" "" "$results/suite.json" > "$results/suite.log" 2>&1 || status=1; head -2 "$results/suite.log"; grep -A1 FAILED "$results/suite.log" | cut -c1-260 | head -60; tail -1 "$results/suite.log" ;;
    bench) "$node" "$here/bench.mjs" "$results/bench.json" 2>&1 | tee "$results/bench.log" || status=1 ;;
    model) "$node" "$here/model.mjs" "$results/model.json" 2>&1 | tee "$results/model.log" || status=1 ;;
    ptx) CUDA_FORCE_PTX_JIT=1 "$node" "$here/suite.mjs" "" "$results/ptx.json" > "$results/ptx.log" 2>&1 || status=1; tail -1 "$results/ptx.log" ;;
    sanitize)
      for tool in memcheck racecheck; do
        compute-sanitizer --tool "$tool" --print-limit 20 "$node" "$here/suite.mjs" "seed 1 > " > "$results/$tool.log" 2>&1 || status=1
        echo "$tool:"; grep -E "SUMMARY|passed" "$results/$tool.log"; grep -m5 -A8 "=========" "$results/$tool.log" | head -30
      done ;;
  esac
done
exit $status

#!/usr/bin/env bash
# `npm run gpu:check`: everything a GPU can say about the engine, in one command, without a network and without Node.
# Builds engine, kernels, C++ tests and benchmark against the torch of python3 (or MERGE_LM_LIBTORCH), runs them, and
# writes bench/results/<device>-<date>.json. With NODE=/path/to/node and node_modules the end-to-end tests follow.
#   scripts/gpuCheck.sh [--device cuda:0|cpu] [--size reference|tiny] [--tests all|cuda] [--build DIR] [--jobs N]
# `--device cpu --size tiny` tries the script itself on a machine without a GPU. Ends with "N passed, N failed".
set -uo pipefail
cd "$(dirname "$0")/.."

device=cuda:0 size=reference tests=all build=build/gpu jobs=$(nproc)
while [ $# -gt 0 ]; do
  case "$1" in
    --device) device=$2 ;;
    --size) size=$2 ;;
    --tests) tests=$2 ;;
    --build) build=$2 ;;
    --jobs) jobs=$2 ;;
    *) echo "gpuCheck: expected --device, --size, --tests, --build or --jobs, received $1" >&2; exit 2 ;;
  esac
  shift 2
done
passed=0 failed=0 skipped=()
begin=$SECONDS
mkdir -p "$build"
records="$build/records.txt"
: > "$records"

# A step's name, result and seconds go into the report.
note() { printf '%s\t%s\t%s\n' "$1" "$2" "$3" >> "$records"; }
step() {
  local name=$1 start=$SECONDS
  shift
  echo "== $name"
  if "$@"; then
    passed=$((passed + 1)) && note "$name" passed $((SECONDS - start))
  else
    failed=$((failed + 1)) && note "$name" FAILED $((SECONDS - start))
    return 1
  fi
}
# A command whose output goes to a file.
logged() {
  local log=$1
  shift
  "$@" > "$log" 2>&1
}
skip() { skipped+=("$1") && note "$1" skipped 0 && echo "== skipped: $1"; }
finish() {
  report
  for name in ${skipped[@]+"${skipped[@]}"}; do echo "skipped: $name"; done
  echo "$passed passed, $failed failed"
  [ "$failed" -eq 0 ]
  exit
}

# What was found, done and measured, as JSON; python3 is there, since torch is.
report() {
  DEVICE_NAME=$name TORCH=$torch SECONDS_ALL=$((SECONDS - begin)) python3 - "$records" "$build" <<'PYTHON'
import json, os, pathlib, re, sys, time
records, build = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
steps = [dict(zip(('name', 'result', 'seconds'), line.split('\t'))) for line in records.read_text().splitlines()]
name = os.environ['DEVICE_NAME']
found = {'device': name, 'date': time.strftime('%Y-%m-%d'), 'torch': os.environ['TORCH'],
         'seconds': int(os.environ['SECONDS_ALL']), 'steps': steps}
for key, file in (('benchmark', 'bench.json'), ('benchmarkWithoutKernels', 'bench-plain.json')):
    text = (build / file).read_text() if (build / file).exists() else ''
    if text.strip(): found[key] = json.loads(text)
for file in sorted(build.glob('tests*.log')):
    found[file.stem] = re.findall(r'^(?:ok  |FAIL|\d+ passed|skipped:|device ).*$', file.read_text(), re.M)
# Dense bfloat16 peak by the makers' data sheets, TFLOP/s.
peak = next((value for word, value in (('H200', 989), ('H100', 989), ('A100', 312)) if word in name), None)
for part in ('encoder', 'training'):
    numbers = found.get('benchmark', {}).get(part, {})
    for field in [field for field in numbers if field.lower().endswith('tflops')]:
        if peak: numbers[field.replace('flops', 'flopsShareOfPeak').replace('Flops', 'FlopsShareOfPeak')] = numbers[field] / peak
places = [pathlib.Path('bench/results')] + [pathlib.Path(os.environ['OUT'])] * ('OUT' in os.environ)
for place in places:
    place.mkdir(parents=True, exist_ok=True)
    file = place / f"{re.sub('[^a-z0-9]+', '-', name.lower())}-{found['date']}.json"
    file.write_text(json.dumps(found, indent=2) + '\n')
    print(f'written: {file}')
PYTHON
}

# 1) torch, tools, device
torch=${MERGE_LM_LIBTORCH:-$(python3 -c 'import importlib.util as u; print(u.find_spec("torch").submodule_search_locations[0])' 2> /dev/null)}
name=cpu
case "$device" in cuda*) name=$(nvidia-smi --query-gpu=name --format=csv,noheader 2> /dev/null | head -n 1) ;; esac
name=${name:-no device}
echo "device: $device ($name); torch: ${torch:-none}; size: $size; tests: $tests; $jobs jobs"
step "torch is there" test -e "$torch/lib/libtorch.so" || finish
step "cmake is there" command -v cmake || finish

# 2) build: the kernels wherever an nvcc is found
cuda=OFF
if command -v nvcc > /dev/null || [ -x /usr/local/cuda/bin/nvcc ] || [ -n "${MERGE_LM_NVCC:-}" ]; then cuda=ON; else skip "kernels: no nvcc"; fi
generator=()
[ -e "$build/CMakeCache.txt" ] || { command -v ninja > /dev/null && generator=(-G Ninja); }
step "configure" logged "$build/configure.log" cmake -S . -B "$build" ${generator[@]+"${generator[@]}"} \
  -DMERGE_LM_LIBTORCH="$torch" -DMERGE_LM_ADDON=OFF \
  -DMERGE_LM_WERROR=OFF -DMERGE_LM_CUDA=$cuda ${MERGE_LM_NVCC:+-DMERGE_LM_NVCC="$MERGE_LM_NVCC"} ||
  { tail -n 20 "$build/configure.log"; finish; }
wanted=(cuda_ops_test cuda_sessions_test team_test device_bench)
[ "$tests" = all ] && wanted=(native_tests device_bench)
step "build" logged "$build/build.log" cmake --build "$build" --parallel "$jobs" --target "${wanted[@]}" ||
  { grep -E 'error|FAILED' "$build/build.log" | head -n 30; finish; }

# 3) C++ tests: those of the device with and without our kernels, then all the others
export OMP_WAIT_POLICY=PASSIVE MERGE_LM_TEST_DEVICE=$device
run_test() { "$build/test/$1" > "$build/tests-$2.log" 2>&1; local code=$?; grep -E '^  |^FAIL|passed|skipped' "$build/tests-$2.log"; return $code; }
plain() { MERGE_LM_CUDA_KERNELS=off run_test "$@"; }
step "kernels as teams of host threads" run_test team_test team
step "ops on $device" run_test cuda_ops_test ops
step "families on $device" run_test cuda_sessions_test sessions
if [ "$device" != cpu ]; then
  step "ops on $device without our kernels" plain cuda_ops_test ops-plain
  step "families on $device without our kernels" plain cuda_sessions_test sessions-plain
fi
if [ "$tests" = all ]; then
  step "all C++ tests" logged "$build/tests-all.log" \
    ctest --test-dir "$build" --output-on-failure --exclude-regex '^cuda_' --parallel 4 ||
    grep -E 'FAIL|Failed|CHECK' "$build/tests-all.log" | head -n 30
fi

# 4) benchmark
sizes=()
[ "$size" = tiny ] && sizes=(layers=2 width=64 heads=2 feedForward=128 vocabulary=512 rows=4 length=32 repeat=2 product=256)
measure() { "$build/device_bench" device="$device" dtype=bfloat16 ${sizes[@]+"${sizes[@]}"} > "$build/$1"; }
measure_plain() { MERGE_LM_CUDA_KERNELS=off measure "$@"; }
step "benchmark" measure bench.json && cat "$build/bench.json"
[ "$device" = cpu ] || step "benchmark without our kernels" measure_plain bench-plain.json

# 5) with a Node binary: addon and end-to-end tests on the same torch
if [ -z "${NODE:-}" ]; then
  skip "end to end: no NODE given"
elif [ ! -d node_modules/vitest ]; then
  skip "end to end: no node_modules"
else
  export MERGE_LM_LIBTORCH=$torch PATH="$(dirname "$NODE"):$PATH"
  step "addon and TypeScript" "$NODE" scripts/build.mjs &&
    step "end to end on $device" "$NODE" node_modules/vitest/vitest.mjs run --project e2e test/e2e/device.test.ts
fi
finish

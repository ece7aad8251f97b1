#!/usr/bin/env bash
# Package: ziglang 0.17.1, gcc 12.2
# Behaviour: in a shared library built by `zig cc`, __builtin_cpu_supports("avx2") is false on a processor that has AVX2,
#   also after __builtin_cpu_init() and with the native target. In one built by gcc it is true.
# A good guess: it is clang, so the builtin asks the processor, as with gcc and clang.
# Seen 2026-11-28: gcc 1, zig 0, zig after __builtin_cpu_init 0; CPUID, asked by hand, says 1
set -euo pipefail

grep -qw avx2 /proc/cpuinfo || { echo "this processor has no AVX2"; exit 0; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
python3 -m pip --python "$work/env" install --quiet --no-compile --disable-pip-version-check ziglang==0.17.1

cat > "$work/cpu.c" << 'C'
#include <cpuid.h>
int plain(void) { return __builtin_cpu_supports("avx2") != 0; }
int after_init(void) { __builtin_cpu_init(); return __builtin_cpu_supports("avx2") != 0; }
int by_hand(void) { unsigned a, b, c, d; __get_cpuid_count(7, 0, &a, &b, &c, &d); return b >> 5 & 1; }
C
cd "$work"
gcc -O2 -shared -fPIC cpu.c -o gcc.so
env/bin/python -m ziglang cc -O2 -shared -fPIC cpu.c -o zig.so

env/bin/python - << 'PYTHON'
import ctypes

found = {}
for compiler in ("gcc", "zig"):
    library = ctypes.CDLL(f"./{compiler}.so")
    found[compiler] = [getattr(library, name)() for name in ("plain", "after_init", "by_hand")]
    print(f"{compiler}: plain {found[compiler][0]}, after __builtin_cpu_init {found[compiler][1]}, CPUID {found[compiler][2]}")
assert found == {"gcc": [1, 1, 1], "zig": [0, 0, 1]}
PYTHON

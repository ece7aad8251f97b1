// Compiled for AVX2 and FMA. Nothing in here may be shared with files that are compiled for other instruction sets.
#include "attention.h"
#include "dispatch.h"
#include "simd_avx2.h"

namespace bark {
const Operators& avx2() {
  static constexpr Operators table = operators_of<Avx2>();
  return table;
}
}  // namespace bark

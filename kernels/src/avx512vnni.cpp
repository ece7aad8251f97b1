// Compiled for AVX-512 F, BW, DQ, VL and VNNI. Nothing in here may be shared with files for other instruction sets.
#include "attention.h"
#include "dispatch.h"
#include "simd_avx512vnni.h"

namespace bark {
const Operators& avx512vnni() {
  static constexpr Operators table = operators_of<Avx512Vnni>();
  return table;
}
}  // namespace bark

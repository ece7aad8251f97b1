#include "dispatch.h"

#include <cpuid.h>

#include <cstdint>
#include <cstring>

namespace bark {
namespace {

/// The processor's own answers. (`__builtin_cpu_supports` finds nothing where zig links the library.)
struct Features {
  std::uint32_t leaf1_c = 0, leaf7_b = 0, leaf7_c = 0;
  std::uint64_t saved = 0;  // registers that the operating system saves

  Features() {
    std::uint32_t a = 0;
    std::uint32_t b = 0;
    std::uint32_t c = 0;
    std::uint32_t d = 0;
    if (__get_cpuid(1, &a, &b, &c, &d) != 0) leaf1_c = c;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d) != 0) {
      leaf7_b = b;
      leaf7_c = c;
    }
    if ((leaf1_c & (1U << 27)) != 0) {  // XGETBV exists
      asm("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
      saved = static_cast<std::uint64_t>(d) << 32 | a;
    }
  }
};

constexpr std::uint32_t FMA = 1U << 12;  // of leaf 1
constexpr std::uint32_t AVX2 = 1U << 5;  // of leaf 7, as those below
constexpr std::uint32_t AVX512_F = 1U << 16;
constexpr std::uint32_t AVX512_DQ = 1U << 17;
constexpr std::uint32_t AVX512_BW = 1U << 30;
constexpr std::uint32_t AVX512_VL = 1U << 31;
constexpr std::uint32_t AVX512_VNNI = 1U << 11;
constexpr std::uint64_t SAVES_AVX = 0x06;
constexpr std::uint64_t SAVES_AVX512 = 0xe6;

template <class Word>
constexpr bool has_all(Word word, Word bits) {
  return (word & bits) == bits;
}

bool has_avx2() {
  static const Features found;
  return has_all(found.saved, SAVES_AVX) && has_all(found.leaf1_c, FMA) && has_all(found.leaf7_b, AVX2);
}

bool has_avx512vnni() {
#ifdef BARK_EMULATED
  return has_avx2();
#endif
  static const Features found;
  return has_avx2() && has_all(found.saved, SAVES_AVX512) &&
         has_all(found.leaf7_b, AVX512_F | AVX512_DQ | AVX512_BW | AVX512_VL) && has_all(found.leaf7_c, AVX512_VNNI);
}

}  // namespace

const char* instruction_sets() {
  if (has_avx512vnni()) return "avx512vnni avx2";
  return has_avx2() ? "avx2" : "";
}

const Operators* operators(const char* name) {
  if (std::strcmp(name, "avx512vnni") == 0 && has_avx512vnni()) return &avx512vnni();
  if (std::strcmp(name, "avx2") == 0 && has_avx2()) return &avx2();
  return nullptr;
}

}  // namespace bark

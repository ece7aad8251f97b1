// Sixteen lanes as two AVX2 registers, and integer tiles by VPMADDWD, which adds 16-bit products in 32 bits exactly.
#pragma once
#include <immintrin.h>

#include "eight.h"
#include "layout.h"

namespace bark {
namespace {

struct Avx2 {
  static constexpr const char* NAME = "avx2";
  static constexpr int TILE_ROWS = 6;    // 6 rows × 8 columns: 12 of 16 registers are sums
  static constexpr int TILE_PANELS = 1;  // panels that one call of a tile takes
  static constexpr int TILE_STACK = 1;   // the nearest cache has a whole panel, so the next tile of rows finds it there

  struct Floats {
    __m256 low, high;
  };

  static Floats load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
  static void store(float* p, Floats x) {
    _mm256_storeu_ps(p, x.low);
    _mm256_storeu_ps(p + 8, x.high);
  }
  static Floats all(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
  static Floats add(Floats a, Floats b) { return {_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)}; }
  static Floats sub(Floats a, Floats b) { return {_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)}; }
  static Floats mul(Floats a, Floats b) { return {_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)}; }
  static Floats div(Floats a, Floats b) { return {_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high)}; }
  static Floats max(Floats a, Floats b) { return {_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)}; }
  static Floats fma(Floats a, Floats b, Floats c) {
    return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
  }
  static Floats abs(Floats a) {
    const __m256 sign = _mm256_set1_ps(-0.F);
    return {_mm256_andnot_ps(sign, a.low), _mm256_andnot_ps(sign, a.high)};
  }
  /// The sign of `sign` with the size of `a`, which is not negative.
  static Floats copy_sign(Floats a, Floats sign) {
    const __m256 bit = _mm256_set1_ps(-0.F);
    return {_mm256_or_ps(a.low, _mm256_and_ps(bit, sign.low)), _mm256_or_ps(a.high, _mm256_and_ps(bit, sign.high))};
  }
  static Floats round(Floats a) {
    constexpr int nearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
    return {_mm256_round_ps(a.low, nearest), _mm256_round_ps(a.high, nearest)};
  }
  /// 2ⁿ of whole numbers n in -126 … 127.
  static Floats power_of_two(Floats n) { return {power_of_two(n.low), power_of_two(n.high)}; }
  /// The first `count` lanes of a, and `other` in the rest.
  static Floats first(int count, Floats a, Floats other) {
    const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __m256i low = _mm256_cmpgt_epi32(_mm256_set1_epi32(count), lanes);
    const __m256i high = _mm256_cmpgt_epi32(_mm256_set1_epi32(count - 8), lanes);
    return {_mm256_blendv_ps(other.low, a.low, _mm256_castsi256_ps(low)),
            _mm256_blendv_ps(other.high, a.high, _mm256_castsi256_ps(high))};
  }
  /// Sixteen integers minus one, as floats.
  static Floats from_integers(const std::int32_t* p, std::int32_t minus) {
    const __m256i m = _mm256_set1_epi32(minus);
    const auto* v = reinterpret_cast<const __m256i*>(p);
    return {_mm256_cvtepi32_ps(_mm256_sub_epi32(_mm256_loadu_si256(v), m)),
            _mm256_cvtepi32_ps(_mm256_sub_epi32(_mm256_loadu_si256(v + 1), m))};
  }
  static float sum(Floats a) { return sum_of_eight(_mm256_add_ps(a.low, a.high)); }
  static float largest(Floats a) { return largest_of_eight(_mm256_max_ps(a.low, a.high)); }

  // A quantized row is int16, whether its steps have 8 or 15 bits.
  static std::size_t row_bytes(int k) { return static_cast<std::size_t>(k) * 2; }
  static void store_narrow(std::uint8_t* row, int i, Floats whole) { store_steps(row, i, whole); }
  static void store_wide(std::uint8_t* row, int /*k*/, int i, Floats whole) { store_steps(row, i, whole); }
  /// Sixteen steps of -127 … 127 as bytes, each plus 128.
  static void store_bytes(std::uint8_t* bytes, Floats whole) {
    const __m128i low = as_words(whole.low);
    const __m128i high = as_words(whole.high);
    const __m128i packed = _mm_packs_epi16(low, high);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(bytes), _mm_xor_si128(packed, _mm_set1_epi8(-128)));
  }

  /// out[R][16] = R rows, from their number `at` on, by `steps` groups of one panel (P is 1).
  template <int R, int P>
  static void narrow_tile(const std::uint8_t* rows, std::size_t stride, int at, const std::uint8_t* panel,
                          std::size_t /*panel_bytes*/, int steps, std::int32_t* out) {
    halves<8, R>(rows, stride, at, panel, steps, out);
  }
  template <int R, int P>
  static void wide_tile(const std::uint8_t* rows, std::size_t stride, int /*k*/, int at, const std::uint8_t* panel,
                        std::size_t /*panel_bytes*/, int steps, std::int32_t* out) {
    halves<8, R>(rows, stride, at, panel, steps, out);
  }
  /// The same with weights of 4 bits.
  template <int R, int P>
  static void half_bytes_tile(const std::uint8_t* rows, std::size_t stride, int at, const std::uint8_t* panel,
                              std::size_t /*panel_bytes*/, int steps, std::int32_t* out) {
    halves<4, R>(rows, stride, at, panel, steps, out);
  }

 private:
  static __m256 power_of_two(__m256 n) {
    const __m256i exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
    return _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23));
  }
  static __m128i as_words(__m256 whole) {
    const __m256i steps = _mm256_cvtps_epi32(whole);
    return _mm_packs_epi32(_mm256_castsi256_si128(steps), _mm256_extracti128_si256(steps, 1));
  }
  static void store_steps(std::uint8_t* row, int i, Floats whole) {
    auto* p = reinterpret_cast<__m128i*>(reinterpret_cast<std::int16_t*>(row) + i);
    _mm_storeu_si128(p, as_words(whole.low));
    _mm_storeu_si128(p + 1, as_words(whole.high));
  }
  static __m256i broadcast(const std::int16_t* four) {
    return _mm256_castpd_si256(_mm256_broadcast_sd(reinterpret_cast<const double*>(four)));
  }
  /// sums += products of words, two by two. Written as instructions, because GCC 12 reorders the additions of several
  /// steps and then has too few registers.
  static void add_products(__m256i& sums, __m256i a, __m256i b) {
    __m256i pairs;
    asm("vpmaddwd %2, %1, %0" : "=x"(pairs) : "x"(a), "x"(b));
    asm("vpaddd %1, %0, %0" : "+x"(sums) : "x"(pairs));
  }
  /// Columns 4 c … 4 c + 3 of a group: 16 bytes as 16 words.
  static __m256i words(const std::uint8_t* group, int c) {
    return _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(group) + c));
  }
  /// Up to three rows take all 16 columns at once, more rows take 8 and 8.
  template <int bits, int R>
  static void halves(const std::uint8_t* rows, std::size_t stride, int at, const std::uint8_t* panel, int steps,
                     std::int32_t* out) {
    const auto* x = reinterpret_cast<const std::int16_t*>(rows) + at;
    if constexpr (R <= 3) {
      tile<bits, R, 4>(x, stride / 2, panel, steps, out);
    } else {
      tile<bits, R, 2>(x, stride / 2, panel, steps, out);
      tile<bits, R, 2>(x, stride / 2, panel + 2 * PANEL, steps, out + PANEL / 2);
    }
  }
  // One function, not inlined, whose loops over registers are written out: otherwise GCC 12 keeps the sums in memory.
  // bits: of a weight. columns[c] and sums[r][c] are four columns; a sum has two halves.
  template <int bits, int R, int C>
  [[gnu::noinline]] static void tile(const std::int16_t* x, std::size_t stride, const std::uint8_t* panel, int steps,
                                     std::int32_t* out) {
    const __m256i mask = _mm256_set1_epi16(0x0f);
    __m256i sums[R][C];
#pragma GCC unroll 6
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
      for (int c = 0; c < C; ++c) sums[r][c] = _mm256_setzero_si256();
    for (int step = 0; step < steps; ++step, x += GROUP) {
      __m256i columns[C];
#pragma GCC unroll 4
      for (int c = 0; c < C; ++c) {
        columns[c] = words(panel, c);
        if constexpr (bits == 4)
          columns[c] = step % 2 == 0 ? _mm256_and_si256(columns[c], mask) : _mm256_srli_epi16(columns[c], 4);
      }
      if (bits == 8 || step % 2 == 1) panel += PANEL * GROUP;
#pragma GCC unroll 6
      for (int r = 0; r < R; ++r) {
        const __m256i row = broadcast(x + static_cast<std::size_t>(r) * stride);
#pragma GCC unroll 4
        for (int c = 0; c < C; ++c) add_products(sums[r][c], row, columns[c]);
      }
    }
#pragma GCC unroll 6
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
      for (int c = 0; c < C; c += 2) {
        const __m256i pairs = _mm256_permute4x64_epi64(_mm256_hadd_epi32(sums[r][c], sums[r][c + 1]), 0xd8);
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + r * PANEL + 4 * c), pairs);
      }
  }
};

}  // namespace
}  // namespace bark

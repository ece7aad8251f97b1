// Sixteen lanes as one AVX-512 register, and integer tiles by VPDPBUSD, which adds four byte products in 32 bits.
#pragma once
#ifdef BARK_EMULATED  // tests only: SIMDe's translation, for processors without AVX-512
#include <simde/x86/avx512.h>
#else
#include <immintrin.h>
#endif

#include <cstdint>

#include "eight.h"
#include "layout.h"

namespace bark {
namespace {

struct Avx512Vnni {
  static constexpr const char* NAME = "avx512vnni";
  static constexpr int TILE_ROWS = 6;    // 6 rows × 64 columns: 24 of 32 registers are sums
  static constexpr int TILE_PANELS = 4;  // panels that one call of a tile takes, or fewer
  static constexpr int TILE_STACK = 4;   // tiles of rows that multiply a block of 16 KB while the nearest cache has it
  /// How far ahead of a tile memory is asked for: 24 lines of each panel, that is 24 steps of 8 bits or 48 of 4 bits.
  static constexpr std::size_t PREFETCH_BYTES = 1536;

  using Floats = __m512;

  static Floats load(const float* p) { return _mm512_loadu_ps(p); }
  static void store(float* p, Floats x) { _mm512_storeu_ps(p, x); }
  static Floats all(float x) { return _mm512_set1_ps(x); }
  static Floats add(Floats a, Floats b) { return _mm512_add_ps(a, b); }
  static Floats sub(Floats a, Floats b) { return _mm512_sub_ps(a, b); }
  static Floats mul(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
  static Floats div(Floats a, Floats b) { return _mm512_div_ps(a, b); }
  static Floats max(Floats a, Floats b) { return _mm512_max_ps(a, b); }
  static Floats fma(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
  static Floats abs(Floats a) { return _mm512_abs_ps(a); }
  static Floats copy_sign(Floats a, Floats sign) {
    const __m512i bit = _mm512_and_si512(_mm512_castps_si512(sign), _mm512_set1_epi32(INT32_MIN));
    return _mm512_castsi512_ps(_mm512_or_si512(_mm512_castps_si512(a), bit));
  }
  static Floats round(Floats a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  static Floats power_of_two(Floats n) {
    const __m512i exponent = _mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127));
    return _mm512_castsi512_ps(_mm512_slli_epi32(exponent, 23));
  }
  static Floats first(int count, Floats a, Floats other) {
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    return _mm512_mask_mov_ps(other, _mm512_cmpgt_epi32_mask(_mm512_set1_epi32(count), lanes), a);
  }
  static Floats from_integers(const std::int32_t* p, std::int32_t minus) {
    return _mm512_cvtepi32_ps(_mm512_sub_epi32(_mm512_loadu_si512(p), _mm512_set1_epi32(minus)));
  }
  // The order of both reductions is that of AVX2: halves first.
  static float sum(Floats a) { return sum_of_eight(_mm256_add_ps(_mm512_castps512_ps256(a), upper(a))); }
  static float largest(Floats a) { return largest_of_eight(_mm256_max_ps(_mm512_castps512_ps256(a), upper(a))); }

  // A narrow row is int8 [k]. A wide row is two of them: the steps divided by 128, rounded down, and what is left.
  static std::size_t row_bytes(int k) { return static_cast<std::size_t>(k) * 2; }
  static void store_narrow(std::uint8_t* row, int i, Floats whole) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(row + i), low_bytes(_mm512_cvtps_epi32(whole)));
  }
  static void store_wide(std::uint8_t* row, int k, int i, Floats whole) {
    const __m512i steps = _mm512_cvtps_epi32(whole);
    const __m512i rest = _mm512_and_si512(steps, _mm512_set1_epi32(127));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(row + i), low_bytes(_mm512_srai_epi32(steps, 7)));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(row + k + i), low_bytes(rest));
  }
  static void store_bytes(std::uint8_t* bytes, Floats whole) {
    const __m128i packed = low_bytes(_mm512_cvtps_epi32(whole));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(bytes), _mm_xor_si128(packed, _mm_set1_epi8(-128)));
  }

  /// out[R][P × 16] = R rows, from their number `at` on, by `steps` groups of P panels.
  template <int R, int P>
  static void narrow_tile(const std::uint8_t* rows, std::size_t stride, int at, const std::uint8_t* panels,
                          std::size_t panel_bytes, int steps, std::int32_t* out) {
    tile<8, false, R, P>(rows + at, stride, 0, panels, panel_bytes, steps, out);
  }
  template <int R, int P>
  static void wide_tile(const std::uint8_t* rows, std::size_t stride, int k, int at, const std::uint8_t* panels,
                        std::size_t panel_bytes, int steps, std::int32_t* out) {
    tile<8, true, R, P>(rows + at, stride, k, panels, panel_bytes, steps, out);
  }
  /// The same with weights of 4 bits.
  template <int R, int P>
  static void half_bytes_tile(const std::uint8_t* rows, std::size_t stride, int at, const std::uint8_t* panels,
                              std::size_t panel_bytes, int steps, std::int32_t* out) {
    tile<4, false, R, P>(rows + at, stride, 0, panels, panel_bytes, steps, out);
  }

 private:
  /// The lowest byte of each lane.
  static __m128i low_bytes(__m512i lanes) {
#ifdef BARK_EMULATED  // SIMDe 0.8 does not have it
    alignas(64) std::int32_t all[PANEL];
    alignas(16) std::int8_t low[PANEL];
    _mm512_store_si512(all, lanes);
    for (int i = 0; i < PANEL; ++i) low[i] = static_cast<std::int8_t>(all[i]);
    return _mm_load_si128(reinterpret_cast<const __m128i*>(low));
#else
    return _mm512_cvtepi32_epi8(lanes);
#endif
  }
  static __m256 upper(Floats a) { return _mm512_extractf32x8_ps(a, 1); }
  static __m512i broadcast(const std::uint8_t* four) {
    std::int32_t word;
    __builtin_memcpy(&word, four, sizeof word);
    return _mm512_set1_epi32(word);
  }
  /// sums += four products of unsigned weights and signed steps. GCC 12 copies the sums around the intrinsic.
  static void dot(__m512i& sums, __m512i weights, __m512i steps) {
#ifdef BARK_EMULATED
    sums = _mm512_dpbusd_epi32(sums, weights, steps);
#else
    asm("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(weights), "v"(steps));
#endif
  }
  static __m512i panel_at(const std::uint8_t* panels, std::size_t panel_bytes, int p) {
    return _mm512_loadu_si512(panels + static_cast<std::size_t>(p) * panel_bytes);
  }

  /// Asks for the lines of P panels that come some steps later: processors that read ahead by themselves stop at every
  /// page of 4 KB.
  template <int P>
  static void prefetch(const std::uint8_t* panel, std::size_t panel_bytes) {
#pragma GCC unroll 4
    for (int p = 0; p < P; ++p)
      _mm_prefetch(reinterpret_cast<const char*>(panel + static_cast<std::size_t>(p) * panel_bytes + PREFETCH_BYTES),
                   _MM_HINT_T0);
  }

  // One function, not inlined, whose loops over registers are written out: otherwise GCC 12 keeps the sums in memory.
  // bits: of a weight. wide: the rows have a second half, `k` bytes further; the first half counts 128 times.
  template <int bits, bool wide, int R, int P>
  [[gnu::noinline]] static void tile(const std::uint8_t* x, std::size_t stride, int k, const std::uint8_t* panels,
                                     std::size_t panel_bytes, int steps, std::int32_t* out) {
    const __m512i mask = _mm512_set1_epi8(0x0f);
    __m512i sums[R][P];
#pragma GCC unroll 6
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
      for (int p = 0; p < P; ++p) sums[r][p] = _mm512_setzero_si512();
    for (int half = 0; half < (wide ? 2 : 1); ++half) {
      const std::uint8_t* row = x + half * k;
      const std::uint8_t* panel = panels;
      if (half == 1)
#pragma GCC unroll 6
        for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
          for (int p = 0; p < P; ++p) sums[r][p] = _mm512_slli_epi32(sums[r][p], 7);
      for (int step = 0; step < steps; ++step, row += GROUP) {
        __m512i columns[P];
#pragma GCC unroll 4
        for (int p = 0; p < P; ++p) {
          columns[p] = panel_at(panel, panel_bytes, p);
          if constexpr (bits == 4) {
            if (step % 2 == 1) columns[p] = _mm512_srli_epi16(columns[p], 4);
            columns[p] = _mm512_and_si512(columns[p], mask);
          }
        }
        if (bits == 8 || step % 2 == 1) {
          if (half == 0) prefetch<P>(panel, panel_bytes);
          panel += PANEL * GROUP;
        }
#pragma GCC unroll 6
        for (int r = 0; r < R; ++r) {
          const __m512i steps_of_row = broadcast(row + static_cast<std::size_t>(r) * stride);
#pragma GCC unroll 4
          for (int p = 0; p < P; ++p) dot(sums[r][p], columns[p], steps_of_row);
        }
      }
    }
#pragma GCC unroll 6
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
      for (int p = 0; p < P; ++p) _mm512_storeu_si512(out + (r * P + p) * PANEL, sums[r][p]);
  }
};

}  // namespace
}  // namespace bark

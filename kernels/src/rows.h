// What is done to one row of numbers: quantization, layer normalization, GELU, powers of two.
#pragma once
#include <initializer_list>
#include <numbers>

#include "layout.h"

namespace bark {
namespace {

constexpr float NORM_EPSILON = 1e-5F;  // nanoGPT's
constexpr float SMALLEST = 1e-12F;     // a row of zeros has this range
constexpr int NARROW_MAX = 127;
constexpr float LOG2_E = std::numbers::log2e_v<float>;
constexpr float LN2 = std::numbers::ln2_v<float>;

/// 2ˣ for x ≤ 127; 0 below -126. A polynomial of degree 5 on [-0.5, 0.5]: relative error 2e-7.
template <class V>
typename V::Floats power_of_two(typename V::Floats x) {
  x = V::max(x, V::all(-126.F));
  const auto whole = V::round(x);
  const auto part = V::sub(x, whole);
  auto p = V::all(1.3333558e-3F);
  for (const float coefficient : {9.6181291e-3F, 5.5504109e-2F, 2.4022651e-1F, LN2, 1.F})
    p = V::fma(p, part, V::all(coefficient));
  return V::mul(p, V::power_of_two(whole));
}

/// x Φ(x), with erf by Abramowitz and Stegun 7.1.26: absolute error of erf 1.5e-7.
template <class V>
typename V::Floats gelu(typename V::Floats x) {
  const auto z = V::mul(V::abs(x), V::all(0.70710678F));
  const auto t = V::div(V::all(1.F), V::fma(z, V::all(0.3275911F), V::all(1.F)));
  auto p = V::all(1.061405429F);
  for (const float coefficient : {-1.453152027F, 1.421413741F, -0.284496736F, 0.254829592F})
    p = V::fma(p, t, V::all(coefficient));
  const auto tail = V::mul(V::mul(p, t), power_of_two<V>(V::mul(V::mul(z, z), V::all(-LOG2_E))));
  const auto erf = V::copy_sign(V::sub(V::all(1.F), tail), x);
  const auto half = V::mul(x, V::all(0.5F));
  return V::fma(half, erf, half);
}

template <class V>
float largest_size(const float* x, int count) {
  auto most = V::all(SMALLEST);
  for (int i = 0; i < count; i += PANEL) most = V::max(most, V::abs(V::load(x + i)));
  return V::largest(most);
}

/// A sum of steps, whose size is below 2²⁴, as an integer. 0 for what is no number: casting that is undefined.
inline std::int32_t integer_of(float sum) {
  constexpr float limit = 1 << 24;
  return sum > -limit && sum < limit ? static_cast<std::int32_t>(sum) : 0;
}

/// Symmetric int8: a step of a block is its largest size / 127.
template <class V>
void quantize(const float* x, int k, int block, Rows out) {
  for (int b = 0, i = 0; b * block < k; ++b) {
    const float most = largest_size<V>(x + i, block);
    const auto inverse = V::all(NARROW_MAX / most);
    auto sum = V::all(0.F);  // exact, see `integer_of`
    for (const int end = i + block; i < end; i += PANEL) {
      const auto steps = V::round(V::mul(V::load(x + i), inverse));
      sum = V::add(sum, steps);
      V::store_narrow(out.data, i, steps);
    }
    out.scales[b] = most / NARROW_MAX;
    out.sums[b] = integer_of(V::sum(sum));
  }
}

template <class V>
void normalize(const float* x, const float* gain, const float* bias, int k, float* y) {
  auto sum = V::all(0.F);
  for (int i = 0; i < k; i += PANEL) sum = V::add(sum, V::load(x + i));
  const auto mean = V::all(V::sum(sum) / static_cast<float>(k));
  auto squares = V::all(0.F);
  for (int i = 0; i < k; i += PANEL) {
    const auto distance = V::sub(V::load(x + i), mean);
    squares = V::fma(distance, distance, squares);
  }
  const auto inverse = V::all(1.F / __builtin_sqrtf(V::sum(squares) / static_cast<float>(k) + NORM_EPSILON));
  for (int i = 0; i < k; i += PANEL) {
    const auto scaled = V::mul(V::sub(V::load(x + i), mean), inverse);
    V::store(y + i, V::fma(scaled, V::load(gain + i), V::load(bias + i)));
  }
}

}  // namespace
}  // namespace bark

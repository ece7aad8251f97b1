// Attention over an int8 cache. Scores and weighted values are integer products, as exact as those of the weights.
//
// One algorithm serves a decode step, a prefill and the bidirectional pass, so all of them give the same bits. A query
// is quantized to 15 bits, each probability (times the scale of its value) to 14.
#pragma once
#include "operators.h"
#include "product.h"

namespace bark {
namespace {

template <class V>
void remember_row(const float* x, int width, float* scale, std::uint8_t* bytes) {
  const float most = largest_size<V>(x, width);
  const auto inverse = V::all(NARROW_MAX / most);
  for (int i = 0; i < width; i += PANEL) V::store_bytes(bytes + i, V::round(V::mul(V::load(x + i), inverse)));
  *scale = most / NARROW_MAX;
}

template <class V>
void remember(const float* key, const float* value, int position, HeadCache cache) {
  alignas(64) std::uint8_t bytes[MAX_HEAD_WIDTH];
  remember_row<V>(key, cache.width, cache.key_scales + position, bytes);
  std::uint8_t* keys = cache.keys + static_cast<std::size_t>(position / PANEL) * PANEL * cache.width +
                       static_cast<std::size_t>(position % PANEL) * GROUP;
  for (int i = 0; i < cache.width; i += GROUP) __builtin_memcpy(keys + i * PANEL, bytes + i, GROUP);
  remember_row<V>(value, cache.width, cache.value_scales + position, bytes);
  for (int panel = 0; panel < cache.width / PANEL; ++panel) {
    std::uint8_t* values = cache.values + static_cast<std::size_t>(panel) * cache.capacity * PANEL +
                           static_cast<std::size_t>(position / GROUP) * GROUP * PANEL + position % GROUP;
    for (int i = 0; i < PANEL; ++i) values[i * GROUP] = bytes[panel * PANEL + i];
  }
}

/// Where `attend` keeps its numbers between the two products.
struct Scratch {
  float* scores;                // [MAX_QUERIES][capacity]
  std::uint8_t* probabilities;  // [MAX_QUERIES] wide rows of capacity
  std::uint8_t* queries;        // [MAX_QUERIES] wide rows of head width
};

/// The scores of one query → its quantized weights of the values, whose rest up to `end` is zero. Returns the factor
/// from the sums of quantized products to the output. block_sums: one for each block of values.
template <class V>
float weigh(float* scores, int seen, int end, HeadCache cache, std::uint8_t* row, std::int32_t* block_sums) {
  const int keys = round_up(seen, PANEL);
  const auto nothing = V::all(-__builtin_inff());
  V::store(scores + keys - PANEL, V::first(seen - keys + PANEL, V::load(scores + keys - PANEL), nothing));
  auto most = nothing;
  for (int j = 0; j < keys; j += PANEL) most = V::max(most, V::load(scores + j));
  const auto top = V::all(V::largest(most));
  auto sum = V::all(0.F);
  auto largest = V::all(SMALLEST);
  for (int j = 0; j < keys; j += PANEL) {
    const bool is_last = j + PANEL == keys;
    auto p = power_of_two<V>(V::sub(V::load(scores + j), top));
    if (is_last) p = V::first(seen - j, p, V::all(0.F));
    sum = V::add(sum, p);
    p = V::mul(p, V::load(cache.value_scales + j));
    // a position that is not seen has the scale of a sequence before, which may be no number
    if (is_last) p = V::first(seen - j, p, V::all(0.F));
    largest = V::max(largest, p);
    V::store(scores + j, p);
  }
  const float step = V::largest(largest) / WIDE_MAX;
  const auto inverse = V::all(WIDE_MAX / V::largest(largest));
  for (int block = 0; block < end; block += VALUE_BLOCK) {
    auto block_sum = V::all(0.F);
    const int block_end = block + VALUE_BLOCK < end ? block + VALUE_BLOCK : end;
    for (int j = block; j < block_end; j += PANEL) {
      const auto steps = j < keys ? V::round(V::mul(V::load(scores + j), inverse)) : V::all(0.F);
      block_sum = V::add(block_sum, steps);
      V::store_wide(row, cache.capacity, j, steps);
    }
    block_sums[block / VALUE_BLOCK] = integer_of(V::sum(block_sum));
  }
  return step / V::sum(sum);
}

/// scores[R] = R queries by the keys of P panels, times what makes them exponents of two.
template <class V, int R, int P>
void score_tile(const Scratch& scratch, const float* query_scales, const std::int32_t* query_sums, int panel,
                HeadCache cache) {
  alignas(64) std::int32_t sums[R * P * PANEL];
  const std::size_t panel_bytes = static_cast<std::size_t>(cache.width) * PANEL;
  tile<V, Steps::Wide, R, P>(scratch.queries, V::row_bytes(cache.width), cache.width, 0,
                             cache.keys + static_cast<std::size_t>(panel) * panel_bytes, panel_bytes,
                             cache.width / GROUP, sums);
  unroll<R>([&](auto r) {
    unroll<P>([&](auto p) {
      const int position = (panel + p) * PANEL;
      const auto scale = V::mul(V::load(cache.key_scales + position), V::all(query_scales[r]));
      const auto steps = V::from_integers(sums + (r * P + p) * PANEL, 128 * query_sums[r]);
      V::store(scratch.scores + static_cast<std::size_t>(r) * cache.capacity + position, V::mul(steps, scale));
    });
  });
}

/// out[R] = R rows of weights by the values of P panels of channels.
template <class V, int R, int P>
void value_tile(const Scratch& scratch, const float* factors, const std::int32_t* block_sums, int blocks, int end,
                int panel, HeadCache cache, float* out, std::size_t stride) {
  alignas(64) std::int32_t sums[R * P * PANEL];
  alignas(64) float total[R * P * PANEL] = {};
  const std::size_t panel_bytes = static_cast<std::size_t>(cache.capacity) * PANEL;
  for (int b = 0; b < blocks; ++b) {
    const int at = b * VALUE_BLOCK;
    const int count = end - at < VALUE_BLOCK ? end - at : VALUE_BLOCK;
    tile<V, Steps::Wide, R, P>(
        scratch.probabilities, V::row_bytes(cache.capacity), cache.capacity, at,
        cache.values + static_cast<std::size_t>(panel) * panel_bytes + static_cast<std::size_t>(at) * PANEL,
        panel_bytes, count / GROUP, sums);
    unroll<R>([&](auto r) {
      unroll<P>([&](auto p) {
        float* mine = total + (r * P + p) * PANEL;
        const auto steps = V::from_integers(sums + (r * P + p) * PANEL, 128 * block_sums[r * blocks + b]);
        V::store(mine, V::add(V::load(mine), steps));
      });
    });
  }
  unroll<R>([&](auto r) {
    unroll<P>([&](auto p) {
      const auto y = V::mul(V::load(total + (r * P + p) * PANEL), V::all(factors[r]));
      V::store(out + r * stride + (panel + p) * PANEL, y);
    });
  });
}

/// A query, times log2(e) / √width, as a wide row: its step and the sum of its steps.
template <class V>
void quantize_query(const float* query, int width, std::uint8_t* row, float* scale, std::int32_t* sum) {
  const float most = largest_size<V>(query, width);
  const auto inverse = V::all(WIDE_MAX / most);
  auto total = V::all(0.F);
  for (int i = 0; i < width; i += PANEL) {
    const auto steps = V::round(V::mul(V::load(query + i), inverse));
    total = V::add(total, steps);
    V::store_wide(row, width, i, steps);
  }
  *scale = most / WIDE_MAX * (LOG2_E / __builtin_sqrtf(static_cast<float>(width)));
  *sum = integer_of(V::sum(total));
}

template <class V, int R>
void attend_rows(const Queries& queries, HeadCache cache, float* out, std::size_t stride, const Scratch& scratch) {
  float scales[R];
  std::int32_t sums[R];
  for (int r = 0; r < R; ++r)
    quantize_query<V>(queries.query + static_cast<std::size_t>(r) * queries.stride, cache.width,
                      scratch.queries + static_cast<std::size_t>(r) * V::row_bytes(cache.width), scales + r, sums + r);
  const int step = queries.causal ? 1 : 0;
  const int most_seen = queries.seen + step * (R - 1);
  const int end = round_up(most_seen, PANEL);
  in_groups<V::TILE_PANELS>(
      0, end / PANEL, [&](auto panels, int panel) { score_tile<V, R, panels>(scratch, scales, sums, panel, cache); });
  const int blocks = round_up(end, VALUE_BLOCK) / VALUE_BLOCK;
  float factors[R];
  // the capacity is at most 2¹⁶ positions, see gpt.cpp
  std::int32_t block_sums[R * 256];
  for (int r = 0; r < R; ++r)
    factors[r] = weigh<V>(scratch.scores + static_cast<std::size_t>(r) * cache.capacity, queries.seen + step * r, end,
                          cache, scratch.probabilities + static_cast<std::size_t>(r) * V::row_bytes(cache.capacity),
                          block_sums + r * blocks);
  in_groups<V::TILE_PANELS>(0, cache.width / PANEL, [&](auto panels, int panel) {
    value_tile<V, R, panels>(scratch, factors, block_sums, blocks, end, panel, cache, out, stride);
  });
}

template <class V>
void attend(const Queries& queries, HeadCache cache, float* out, std::size_t stride, std::uint8_t* scratch) {
  const auto scores = static_cast<std::size_t>(MAX_QUERIES) * static_cast<std::size_t>(cache.capacity) * sizeof(float);
  const auto wide = static_cast<std::size_t>(MAX_QUERIES) * V::row_bytes(cache.capacity);
  const Scratch own{reinterpret_cast<float*>(scratch), scratch + scores, scratch + scores + wide};
  with_constant<MAX_QUERIES>(queries.count, [&](auto rows) { attend_rows<V, rows>(queries, cache, out, stride, own); });
}

/// The table of one instruction set.
template <class V>
constexpr Operators operators_of() {
  return {V::NAME, V::row_bytes, quantize<V>, normalize<V>, product<V>, remember<V>, attend<V>};
}

}  // namespace
}  // namespace bark

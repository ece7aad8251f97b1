// Products of quantized rows and packed weights: integer tiles, block by block, and what is done with their sums.
#pragma once
#include "operators.h"
#include "rows.h"
#include "unroll.h"

namespace bark {
namespace {

enum class Steps { Narrow, HalfBytes, Wide };

/// Integer sums of R rows and P panels. `k` is the length of a wide row, see `store_wide`.
template <class V, Steps kind, int R, int P>
void tile(const std::uint8_t* rows, std::size_t stride, int k, int at, const std::uint8_t* panels,
          std::size_t panel_bytes, int steps, std::int32_t* out) {
  if constexpr (kind == Steps::Wide)
    V::template wide_tile<R, P>(rows, stride, k, at, panels, panel_bytes, steps, out);
  else if constexpr (kind == Steps::HalfBytes)
    V::template half_bytes_tile<R, P>(rows, stride, at, panels, panel_bytes, steps, out);
  else
    V::template narrow_tile<R, P>(rows, stride, at, panels, panel_bytes, steps, out);
}

template <class V>
[[gnu::always_inline]] inline void finish(typename V::Floats y, Finish what, float* out, int columns) {
  if (what == Finish::Gelu) y = gelu<V>(y);
  if (columns >= PANEL) {
    V::store(out, what == Finish::Add ? V::add(V::load(out), y) : y);
    return;
  }
  alignas(64) float last[PANEL];
  V::store(last, y);
  for (int i = 0; i < columns; ++i) out[i] = what == Finish::Add ? out[i] + last[i] : last[i];
}

/// totals += R rows by P panels, block b: a sum of integers becomes floats.
template <class V, Steps kind, int R, int P>
void add_block(const Linear& layer, int panel, int b, Rows rows, float* totals) {
  constexpr int zero = kind == Steps::HalfBytes ? 8 : 128;
  const int group_bytes = PANEL * layer.bits / 8;  // of one weight of every column
  const std::uint8_t* weights = layer.weights + static_cast<std::size_t>(panel) * layer.panel_bytes() +
                                static_cast<std::size_t>(b) * layer.block * group_bytes;
  alignas(64) std::int32_t sums[R * P * PANEL];
  tile<V, kind, R, P>(rows.data, rows.stride, layer.k, b * layer.block, weights, layer.panel_bytes(),
                      layer.block / GROUP, sums);
  unroll<R>([&](auto r) {
    const auto row_scale = V::all(rows.from(r).scales[b]);
    const std::int32_t correction = zero * rows.from(r).sums[b];
    unroll<P>([&](auto p) {
      const int at = (r * P + p) * PANEL;
      const float* scales = layer.scales + (static_cast<std::size_t>(panel + p) * layer.blocks() + b) * PANEL;
      const auto scale = V::mul(V::load(scales), row_scale);
      V::store(totals + at, V::fma(V::from_integers(sums + at, correction), scale, V::load(totals + at)));
    });
  });
}

/// Up to TILE_STACK tiles of rows by P panels. Sums of blocks are added as floats, in the order of the blocks.
template <class V, Steps kind, int P>
void product_of_panels(const Linear& layer, int panel, Rows rows, int count, Finish what, float* out,
                       std::size_t stride) {
  alignas(64) float totals[V::TILE_STACK * V::TILE_ROWS * P * PANEL];
  for (int i = 0; i < count * P; ++i) V::store(totals + i * PANEL, V::all(0.F));
  for (int b = 0; b < layer.blocks(); ++b)
    for (int row = 0; row < count; row += V::TILE_ROWS)
      with_constant<V::TILE_ROWS>(count - row, [&](auto tile_rows) {
        add_block<V, kind, tile_rows, P>(layer, panel, b, rows.from(row), totals + row * P * PANEL);
      });
  for (int row = 0; row < count; ++row)
    unroll<P>([&](auto p) {
      const int column = (panel + p) * PANEL;
      const auto y = V::add(V::load(totals + (row * P + p) * PANEL), V::load(layer.bias + column));
      finish<V>(y, what, out + static_cast<std::size_t>(row) * stride + column, layer.n - column);
    });
}

template <class V, Steps kind>
void product_of_kind(const Linear& layer, int first, int end, Rows rows, int count, Finish what, float* out,
                     std::size_t stride) {
  constexpr int most = V::TILE_STACK * V::TILE_ROWS;
  in_groups<V::TILE_PANELS>(first, end, [&](auto panels, int panel) {
    for (int row = 0; row < count; row += most)
      product_of_panels<V, kind, panels>(layer, panel, rows.from(row), count - row < most ? count - row : most, what,
                                         out + static_cast<std::size_t>(row) * stride, stride);
  });
}

template <class V>
void product(const Linear& layer, int first, int end, Rows rows, int count, Finish what, float* out,
             std::size_t stride) {
  if (layer.bits == 4)
    product_of_kind<V, Steps::HalfBytes>(layer, first, end, rows, count, what, out, stride);
  else
    product_of_kind<V, Steps::Narrow>(layer, first, end, rows, count, what, out, stride);
}

}  // namespace
}  // namespace bark

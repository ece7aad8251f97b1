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
void finish(typename V::Floats y, Finish what, float* out, int columns) {
  if (what == Finish::Gelu) y = gelu<V>(y);
  if (columns >= PANEL) {
    V::store(out, what == Finish::Add ? V::add(V::load(out), y) : y);
    return;
  }
  alignas(64) float last[PANEL];
  V::store(last, y);
  for (int i = 0; i < columns; ++i) out[i] = what == Finish::Add ? out[i] + last[i] : last[i];
}

/// R rows by P panels: sums of each block become floats, which are added in the order of the blocks.
template <class V, Steps kind, int R, int P>
void product_of_tile(const Linear& layer, int panel, Rows rows, Finish what, float* out, std::size_t stride) {
  constexpr int zero = kind == Steps::HalfBytes ? 8 : 128;
  const int blocks = layer.blocks();
  const int group_bytes = PANEL * layer.bits / 8;  // of one weight of every column
  const std::uint8_t* weights = layer.weights + static_cast<std::size_t>(panel) * layer.panel_bytes();
  alignas(64) std::int32_t sums[R * P * PANEL];
  alignas(64) float total[R * P * PANEL] = {};
  for (int b = 0; b < blocks; ++b) {
    tile<V, kind, R, P>(rows.data, rows.stride, layer.k, b * layer.block,
                        weights + static_cast<std::size_t>(b) * layer.block * group_bytes, layer.panel_bytes(),
                        layer.block / GROUP, sums);
    unroll<R>([&](auto r) {
      const auto row_scale = V::all(rows.from(r).scales[b]);
      const std::int32_t correction = zero * rows.from(r).sums[b];
      unroll<P>([&](auto p) {
        const int at = (r * P + p) * PANEL;
        const float* scales = layer.scales + (static_cast<std::size_t>(panel + p) * blocks + b) * PANEL;
        const auto scale = V::mul(V::load(scales), row_scale);
        const auto steps = V::from_integers(sums + at, correction);
        V::store(total + at, V::fma(steps, scale, V::load(total + at)));
      });
    });
  }
  unroll<R>([&](auto r) {
    unroll<P>([&](auto p) {
      const int column = (panel + p) * PANEL;
      const auto y = V::add(V::load(total + (r * P + p) * PANEL), V::load(layer.bias + column));
      finish<V>(y, what, out + r * stride + column, layer.n - column);
    });
  });
}

template <class V, Steps kind>
void product_of_kind(const Linear& layer, int first, int end, Rows rows, int count, Finish what, float* out,
                     std::size_t stride) {
  in_groups<V::TILE_PANELS>(first, end, [&](auto panels, int panel) {
    for (int row = 0; row < count; row += V::TILE_ROWS)
      with_constant<V::TILE_ROWS>(count - row, [&](auto tile_rows) {
        product_of_tile<V, kind, tile_rows, panels>(layer, panel, rows.from(row), what,
                                                    out + static_cast<std::size_t>(row) * stride, stride);
      });
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

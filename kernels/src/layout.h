// The memory layouts that the packer, the cache and the tiles share. README.md draws them.
#pragma once
#include <cstddef>
#include <cstdint>

namespace bark {

/// Columns of a panel. A panel is the unit in which matrices are stored and multiplied.
inline constexpr int PANEL = 16;
/// Consecutive rows of a matrix (weights of one column) that share a 32-bit group.
inline constexpr int GROUP = 4;
/// Positions of the value cache that are summed as integers before the sum becomes a float.
inline constexpr int VALUE_BLOCK = 256;
/// Largest quantized probability or query: 14 bits, so that two bytes hold it and products cannot overflow.
inline constexpr int WIDE_MAX = 16383;
/// Widest attention head.
inline constexpr int MAX_HEAD_WIDTH = 128;

[[gnu::always_inline]] constexpr int round_up(int value, int unit) { return (value + unit - 1) / unit * unit; }

/// A linear layer, y = x Wᵀ + bias. The memory belongs to the caller. This struct is part of the C interface.
///
/// 8 bits: weights [panels][k / 4][16 columns][4], a byte is the weight + 128.
/// 4 bits: weights [panels][k / 8][16 columns][4], the low half of a byte is a weight of the first four rows + 8, the
/// high half one of the next four.
struct Linear {
  const std::uint8_t* weights;
  const float* scales;  ///< [panels][k / block][16]
  const float* bias;    ///< [n]
  std::int32_t n;       ///< columns of the output
  std::int32_t k;       ///< columns of the input
  std::int32_t block;   ///< weights of a column that share a scale
  std::int32_t bits;    ///< 8 or 4

  [[gnu::always_inline]] int panels() const { return (n + PANEL - 1) / PANEL; }
  [[gnu::always_inline]] int blocks() const { return k / block; }
  /// Bytes from one panel to the next.
  [[gnu::always_inline]] std::size_t panel_bytes() const {
    return static_cast<std::size_t>(k) * PANEL * static_cast<std::size_t>(bits) / 8;
  }
};

/// Quantized input rows of a product. How a row is stored is the instruction set's own affair.
struct Rows {
  std::uint8_t* data;  ///< [rows][stride bytes]
  float* scales;       ///< [rows][blocks]: size of one step
  std::int32_t* sums;  ///< [rows][blocks]: sum of the steps
  std::size_t stride;  ///< bytes of a row
  int blocks;          ///< of a row

  [[gnu::always_inline]] Rows from(int row) const {
    const auto r = static_cast<std::size_t>(row);
    return {data + r * stride, scales + r * static_cast<std::size_t>(blocks),
            sums + r * static_cast<std::size_t>(blocks), stride, blocks};
  }
};

/// The cache of one head of one sequence.
///
/// keys [capacity / 16][head width / 4][16 positions][4 channels], values [head width / 16][capacity / 4][16 channels]
/// [4 positions]; a byte is the quantized number + 128, and each position has a scale for its key and one for its
/// value.
struct HeadCache {
  std::uint8_t* keys;
  std::uint8_t* values;
  float* key_scales;    ///< [capacity]
  float* value_scales;  ///< [capacity]
  int capacity;         ///< positions, a multiple of `VALUE_BLOCK`
  int width;            ///< of the head, a multiple of 16
};

}  // namespace bark

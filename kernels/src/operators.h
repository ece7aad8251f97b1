// What an instruction set provides: a table of functions. Each one works on one thread.
#pragma once
#include "layout.h"

namespace bark {

/// What a product does with its result y.
enum class Finish { Store, Add, Gelu };  // out = y; out += y; out = gelu(y)

/// Queries of one head that attend over the same cache.
struct Queries {
  const float* query;  ///< [count] rows, `stride` floats apart
  std::size_t stride;
  int count;    ///< 1 … MAX_QUERIES
  int seen;     ///< positions that the first query sees
  bool causal;  ///< each further query sees one more position; else all see the same
};
inline constexpr int MAX_QUERIES = 6;

struct Operators {
  const char* name;
  /// Bytes of a quantized input row of `k` numbers.
  std::size_t (*row_bytes)(int k);
  /// Quantize a row in blocks: [k] floats → row 0 of `out`.
  void (*quantize)(const float* x, int k, int block, Rows out);
  /// Layer normalization: [k] → [k].
  void (*normalize)(const float* x, const float* gain, const float* bias, int k, float* y);
  /// `count` rows by the panels [first, end) of a layer. out: [count] rows, `stride` floats apart, of column 0.
  void (*product)(const Linear& layer, int first, int end, Rows rows, int count, Finish finish, float* out,
                  std::size_t stride);
  /// Quantize the key and the value of one position into the cache.
  void (*remember)(const float* key, const float* value, int position, HeadCache cache);
  /// Attention → out, [count] rows, `stride` floats apart. scratch: `attend_scratch(capacity)` bytes, 64-byte aligned.
  void (*attend)(const Queries& queries, HeadCache cache, float* out, std::size_t stride, std::uint8_t* scratch);
};

/// Bytes that `Operators::attend` needs for itself.
constexpr std::size_t attend_scratch(int capacity) {
  constexpr auto rows = static_cast<std::size_t>(MAX_QUERIES);
  const auto keys = static_cast<std::size_t>(capacity);
  return rows * keys * (sizeof(float) + 2) + rows * MAX_HEAD_WIDTH * 2 + 4096;
}

}  // namespace bark

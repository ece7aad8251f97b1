// The C interface. bark_kernels/library.py declares the same in Python and checks shapes, types and ranges first.
#pragma once
#include "gpt.h"

#define BARK_EXPORT extern "C" __attribute__((visibility("default")))  // NOLINT(cppcoreguidelines-macro-usage)

/// A number that changes whenever this interface or a layout changes.
BARK_EXPORT int bark_interface();

/// Instruction sets of this processor that there are kernels for, best first, separated by spaces.
BARK_EXPORT const char* bark_instruction_sets();

/// A network, or nullptr: out of memory or threads, or no such instruction set. The weights must outlive it.
BARK_EXPORT bark::Gpt* bark_open(const bark::Network* network, int rows, int threads, const char* instruction_set);
BARK_EXPORT void bark_close(bark::Gpt* gpt);

// See gpt.h. One call at a time per network.
BARK_EXPORT void bark_prefill(bark::Gpt* gpt, int row, int start, int count, const float* embeddings, float* logits);
BARK_EXPORT void bark_decode(bark::Gpt* gpt, int count, const float* embeddings, const std::int32_t* lengths,
                             float* logits);
BARK_EXPORT void bark_encode(bark::Gpt* gpt, int count, const float* embeddings, int output, float* logits);
BARK_EXPORT void bark_move(bark::Gpt* gpt, int source, int target, int length);

// Parts alone, on one thread, for tests and benchmarks. They return 0, or 1 if memory or the instruction set is
// missing.

/// y [count][n] = x [count][k] through a linear layer and, if `gelu` is 1, GELU.
BARK_EXPORT int bark_linear(const char* instruction_set, const bark::Linear* layer, int count, const float* x, int gelu,
                            float* y);
/// Attention of one head: queries, keys, values [count][width] → out [count][width].
BARK_EXPORT int bark_attention(const char* instruction_set, int count, int width, int causal, const float* queries,
                               const float* keys, const float* values, float* out);
/// Layer normalization of [count][k].
BARK_EXPORT int bark_normalize(const char* instruction_set, int count, int k, const float* x, const float* gain,
                               const float* bias, float* y);
/// Bytes per second at which `threads` threads read `bytes` bytes of memory, the best of `repeats` times.
BARK_EXPORT double bark_read_speed(const std::uint8_t* memory, std::size_t bytes, int threads, int repeats);

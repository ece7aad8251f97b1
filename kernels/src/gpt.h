// A transformer over quantized weights: prefill, decode steps and a bidirectional pass.
#pragma once
#include <vector>

#include "memory.h"
#include "operators.h"
#include "team.h"

namespace bark {

/// Layer normalization. The memory belongs to the caller. Part of the C interface.
struct Norm {
  const float* gain;
  const float* bias;
};

/// A pre-norm block of nanoGPT. Part of the C interface.
struct Layer {
  Norm attention_norm;
  Linear qkv;  ///< queries, keys and values below one another
  Linear out;
  Norm mlp_norm;
  Linear up;
  Linear down;
};

/// The sizes and weights of a network. Part of the C interface.
struct Network {
  std::int32_t layer_count;
  std::int32_t heads;
  std::int32_t width;
  std::int32_t positions;   ///< that have an embedding
  std::int32_t causal;      ///< 1: a position sees those before it; 0: it sees all
  std::int32_t head_count;  ///< output layers; a causal network has one
  const Layer* layers;
  const float* position_embedding;  ///< [positions][width]
  Norm norm;
  const Linear* output;
};

class Gpt {
 public:
  /// rows: sequences that the cache holds; a bidirectional network needs one.
  Gpt(const Network& network, int rows, int threads, const Operators& operators);

  /// Positions start … start + count - 1 of a row: [count][width] embeddings → logits [n] of the last one.
  void prefill(int row, int start, int count, const float* embeddings, float* logits);
  /// One position of each of the rows 0 … count - 1: [count][width] embeddings → logits [count][n].
  void decode(int count, const float* embeddings, const std::int32_t* lengths, float* logits);
  /// All positions at once, each seeing all: [count][width] embeddings → logits [count][n] of one output layer.
  void encode(int count, const float* embeddings, int output, float* logits);
  /// Copies the first `length` positions of a row's cache to another row.
  void move(int source, int target, int length);

 private:
  /// What one call computes.
  struct Pass {
    int count;                    // rows of activations
    int row, start;               // of the cache, if all rows belong to one sequence
    const std::int32_t* lengths;  // else: where each row is in its own sequence
    int output;
    bool last_only;
    float* logits;

    int position(int i) const { return lengths != nullptr ? lengths[i] : start + i; }
    int cache_row(int i) const { return lengths != nullptr ? i : row; }
  };
  /// A thread's own memory.
  struct Own {
    Rows rows;
    float* floats;
    std::uint8_t* scratch;
  };
  /// Activations that go into a linear layer.
  struct Input {
    const float* x;
    std::size_t stride;
    const Norm* norm;  // applied first, if there is one
  };

  void run(const Pass& pass, const float* embeddings);
  void through_layers(Worker& worker, const Pass& pass);
  void attention_of_few(Worker& worker, const Pass& pass, int index);
  void attention_of_many(Worker& worker, const Pass& pass, int index, int first);
  void linear(Worker& worker, const Linear& layer, Input input, int first, int count, Finish finish, float* out,
              std::size_t stride);
  void quantize(const Input& input, int row, int k, int block, Rows out, float* floats) const;
  void remember(const Pass& pass, int layer, int head, int first, int end);
  void attend(const Pass& pass, int layer, int head, int first, int end, std::uint8_t* scratch);
  HeadCache cache(int row, int layer, int head);
  Rows rows_at(std::uint8_t*& memory, int count) const;
  int panels_per_tile(const Linear& layer) const;

  Network network_;
  std::vector<Layer> layers_;
  std::vector<Linear> output_;
  const Operators& operators_;
  int capacity_, head_width_;
  std::size_t head_bytes_, row_bytes_;
  Memory cache_, activations_;
  float *x_, *qkv_, *attended_, *hidden_;
  Rows quantized_;
  std::vector<Own> own_;
  Team team_;
};

}  // namespace bark

#include "api.h"

#include <algorithm>
#include <chrono>
#include <exception>

#include "dispatch.h"

namespace bark {
namespace {

void linear(const Operators& operators, const Linear& layer, int count, const float* x, Finish finish, float* y) {
  const auto rows = static_cast<std::size_t>(count);
  const std::size_t blocks = rows * static_cast<std::size_t>(layer.blocks());
  const std::size_t stride = operators.row_bytes(layer.k);
  const Memory room = allocate(rows * stride + blocks * 8 + 256);
  std::uint8_t* memory = room.get();
  const Rows quantized{take<std::uint8_t>(memory, rows * stride), take<float>(memory, blocks),
                       take<std::int32_t>(memory, blocks), stride, layer.blocks()};
  for (int i = 0; i < count; ++i)
    operators.quantize(x + static_cast<std::size_t>(i) * layer.k, layer.k, layer.block, quantized.from(i));
  operators.product(layer, 0, layer.panels(), quantized, count, finish, y, static_cast<std::size_t>(layer.n));
}

void attention(const Operators& operators, int count, int width, bool causal, const float* queries, const float* keys,
               const float* values, float* out) {
  const int capacity = round_up(count, VALUE_BLOCK);
  const std::size_t bytes = static_cast<std::size_t>(capacity) * width;
  const Memory room = allocate(2 * bytes + static_cast<std::size_t>(capacity) * 8 + attend_scratch(capacity) + 256);
  std::uint8_t* memory = room.get();
  const HeadCache cache{take<std::uint8_t>(memory, bytes),
                        take<std::uint8_t>(memory, bytes),
                        take<float>(memory, static_cast<std::size_t>(capacity)),
                        take<float>(memory, static_cast<std::size_t>(capacity)),
                        capacity,
                        width};
  const auto stride = static_cast<std::size_t>(width);
  for (int i = 0; i < count; ++i)
    operators.remember(keys + static_cast<std::size_t>(i) * stride, values + static_cast<std::size_t>(i) * stride, i,
                       cache);
  for (int i = 0; i < count; i += MAX_QUERIES) {
    const Queries some{queries + static_cast<std::size_t>(i) * stride, stride, std::min(MAX_QUERIES, count - i),
                       causal ? i + 1 : count, causal};
    operators.attend(some, cache, out + static_cast<std::size_t>(i) * stride, stride, memory);
  }
}

/// Runs `f` with the functions of an instruction set. Exceptions must not cross the C interface.
template <class F>
int with_operators(const char* name, F f) {
  const Operators* found = operators(name);
  if (found == nullptr) return 1;
  try {
    f(*found);
    return 0;
  } catch (const std::exception&) {
    return 1;
  }
}

std::uint64_t read(const std::uint8_t* from, const std::uint8_t* end) {
  std::uint64_t sums[8] = {};
  for (; from + 64 <= end; from += 64)
    for (int i = 0; i < 8; ++i) {
      std::uint64_t word;
      __builtin_memcpy(&word, from + 8 * i, 8);
      sums[i] ^= word;
    }
  std::uint64_t all = 0;
  for (const std::uint64_t sum : sums) all ^= sum;
  return all;
}

}  // namespace
}  // namespace bark

int bark_interface() { return 1; }

const char* bark_instruction_sets() { return bark::instruction_sets(); }

bark::Gpt* bark_open(const bark::Network* network, int rows, int threads, const char* instruction_set) {
  std::unique_ptr<bark::Gpt> gpt;
  bark::with_operators(instruction_set, [&](const bark::Operators& found) {
    gpt = std::make_unique<bark::Gpt>(*network, rows, threads, found);
  });
  return gpt.release();
}

void bark_close(bark::Gpt* gpt) { const std::unique_ptr<bark::Gpt> last(gpt); }

void bark_prefill(bark::Gpt* gpt, int row, int start, int count, const float* embeddings, float* logits) {
  gpt->prefill(row, start, count, embeddings, logits);
}

void bark_decode(bark::Gpt* gpt, int count, const float* embeddings, const std::int32_t* lengths, float* logits) {
  gpt->decode(count, embeddings, lengths, logits);
}

void bark_encode(bark::Gpt* gpt, int count, const float* embeddings, int output, float* logits) {
  gpt->encode(count, embeddings, output, logits);
}

void bark_move(bark::Gpt* gpt, int source, int target, int length) { gpt->move(source, target, length); }

int bark_linear(const char* instruction_set, const bark::Linear* layer, int count, const float* x, int gelu, float* y) {
  const auto finish = gelu != 0 ? bark::Finish::Gelu : bark::Finish::Store;
  return bark::with_operators(instruction_set,
                              [&](const bark::Operators& found) { bark::linear(found, *layer, count, x, finish, y); });
}

int bark_attention(const char* instruction_set, int count, int width, int causal, const float* queries,
                   const float* keys, const float* values, float* out) {
  return bark::with_operators(instruction_set, [&](const bark::Operators& found) {
    bark::attention(found, count, width, causal != 0, queries, keys, values, out);
  });
}

int bark_normalize(const char* instruction_set, int count, int k, const float* x, const float* gain, const float* bias,
                   float* y) {
  return bark::with_operators(instruction_set, [&](const bark::Operators& found) {
    for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i)
      found.normalize(x + i * static_cast<std::size_t>(k), gain, bias, k, y + i * static_cast<std::size_t>(k));
  });
}

double bark_read_speed(const std::uint8_t* memory, std::size_t bytes, int threads, int repeats) {
  double best = 0;
  std::atomic<std::uint64_t> sum{0};
  bark::Team team(threads, 1);
  for (int i = 0; i < repeats; ++i) {
    const int tiles = 16 * threads;
    const auto begin = std::chrono::steady_clock::now();
    team.run([&](bark::Worker& worker) {
      worker.phase(
          tiles, [] {},
          [&](int tile) {
            const auto t = static_cast<std::size_t>(tile);
            const auto n = static_cast<std::size_t>(tiles);
            sum ^= bark::read(memory + bytes * t / n, memory + bytes * (t + 1) / n);
          });
    });
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    best = std::max(best, static_cast<double>(bytes) / took.count());
  }
  return best;
}

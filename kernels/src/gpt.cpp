#include "gpt.h"

#include <algorithm>
#include <cstring>

namespace bark {
namespace {

/// Up to so many rows, every thread quantizes all of them itself: that is faster than to wait for one another.
constexpr int FEW = 16;
constexpr int QUANTIZE_TILE = 16;              // rows
constexpr int REMEMBER_TILE = 64;              // positions
constexpr int ATTEND_TILE = 24;                // queries
constexpr int MAX_TILE_PANELS = 4;             // 64 columns
constexpr std::size_t ROWS_BYTES = 192 << 10;  // quantized rows that stay in a core's cache while columns pass by
constexpr int PHASES_PER_LAYER = 10;           // two for each linear layer, one for the cache, one for attention
constexpr int MLP = 4;                         // the hidden layer is so many times as wide

constexpr int tiles_of(int count, int tile) { return (count + tile - 1) / tile; }

const auto nothing = [] {};

}  // namespace

Gpt::Gpt(const Network& network, int rows, int threads, const Operators& operators)
    : network_(network),
      layers_(network.layers, network.layers + network.layer_count),
      output_(network.output, network.output + network.head_count),
      operators_(operators),
      capacity_(round_up(network.positions, VALUE_BLOCK)),
      head_width_(network.width / network.heads),
      head_bytes_(static_cast<std::size_t>(capacity_) *
                  (2 * static_cast<std::size_t>(head_width_) + 2 * sizeof(float))),
      row_bytes_(head_bytes_ * static_cast<std::size_t>(network.heads) *
                 static_cast<std::size_t>(network.causal != 0 ? network.layer_count : 1)),
      cache_(allocate(row_bytes_ * static_cast<std::size_t>(rows))),
      activations_(nullptr, Unmap{0}),
      team_(threads, network.layer_count * PHASES_PER_LAYER + 2) {
  const auto width = static_cast<std::size_t>(network.width);
  const auto most = static_cast<std::size_t>(std::max(network.positions, rows));
  const std::size_t row = operators.row_bytes(MLP * network.width) + MLP * width * 2 + 64;
  const std::size_t own = FEW * row + 4096 + MLP * width * sizeof(float) + attend_scratch(capacity_);
  activations_ = allocate(most * (9 * width * sizeof(float) + row) + static_cast<std::size_t>(threads) * own + 8192);
  std::uint8_t* memory = activations_.get();
  x_ = take<float>(memory, most * width);
  qkv_ = take<float>(memory, most * 3 * width);
  attended_ = take<float>(memory, most * width);
  hidden_ = take<float>(memory, most * MLP * width);
  quantized_ = rows_at(memory, static_cast<int>(most));
  for (int i = 0; i < threads; ++i) {
    Own mine{};
    mine.rows = rows_at(memory, FEW);
    mine.floats = take<float>(memory, MLP * width);
    mine.scratch = take<std::uint8_t>(memory, attend_scratch(capacity_));
    own_.push_back(mine);
  }
}

/// Room for quantized rows of any of the layers. The shortest block has 16 numbers.
Rows Gpt::rows_at(std::uint8_t*& memory, int count) const {
  const int k = MLP * network_.width;
  const std::size_t blocks = static_cast<std::size_t>(count) * static_cast<std::size_t>(k / PANEL);
  Rows rows{};
  rows.stride = operators_.row_bytes(k);
  rows.data = take<std::uint8_t>(memory, static_cast<std::size_t>(count) * rows.stride);
  rows.scales = take<float>(memory, blocks);
  rows.sums = take<std::int32_t>(memory, blocks);
  return rows;
}

void Gpt::prefill(int row, int start, int count, const float* embeddings, float* logits) {
  run({count, row, start, nullptr, 0, true, logits}, embeddings);
}

void Gpt::decode(int count, const float* embeddings, const std::int32_t* lengths, float* logits) {
  run({count, 0, 0, lengths, 0, false, logits}, embeddings);
}

void Gpt::encode(int count, const float* embeddings, int output, float* logits) {
  run({count, 0, 0, nullptr, output, false, logits}, embeddings);
}

void Gpt::move(int source, int target, int length) {
  const int layers = network_.causal != 0 ? network_.layer_count : 1;
  const auto floats = static_cast<std::size_t>(length) * sizeof(float);
  for (int layer = 0; layer < layers; ++layer)
    for (int head = 0; head < network_.heads; ++head) {
      const HeadCache from = cache(source, layer, head);
      const HeadCache to = cache(target, layer, head);
      std::memcpy(to.key_scales, from.key_scales, floats);
      std::memcpy(to.value_scales, from.value_scales, floats);
      std::memcpy(to.keys, from.keys, static_cast<std::size_t>(round_up(length, PANEL)) * head_width_);
      const std::size_t panel = static_cast<std::size_t>(capacity_) * PANEL;
      for (int p = 0; p < head_width_ / PANEL; ++p)
        std::memcpy(to.values + p * panel, from.values + p * panel,
                    static_cast<std::size_t>(round_up(length, GROUP)) * PANEL);
    }
}

HeadCache Gpt::cache(int row, int layer, int head) {
  const std::size_t index = static_cast<std::size_t>(network_.causal != 0 ? layer : 0) * network_.heads + head;
  std::uint8_t* at = cache_.get() + static_cast<std::size_t>(row) * row_bytes_ + index * head_bytes_;
  const std::size_t bytes = static_cast<std::size_t>(capacity_) * head_width_;
  auto* scales = reinterpret_cast<float*>(at + 2 * bytes);
  return {at, at + bytes, scales, scales + capacity_, capacity_, head_width_};
}

void Gpt::run(const Pass& pass, const float* embeddings) {
  const auto width = static_cast<std::size_t>(network_.width);
  for (int i = 0; i < pass.count; ++i) {
    const float* position = network_.position_embedding + static_cast<std::size_t>(pass.position(i)) * width;
    const std::size_t row = static_cast<std::size_t>(i) * width;
    for (std::size_t j = 0; j < width; ++j) x_[row + j] = embeddings[row + j] + position[j];
  }
  team_.run([&](Worker& worker) { through_layers(worker, pass); });
}

void Gpt::through_layers(Worker& worker, const Pass& pass) {
  const auto width = static_cast<std::size_t>(network_.width);
  int first = 0;
  for (int i = 0; i < network_.layer_count; ++i) {
    const Layer& layer = layers_[static_cast<std::size_t>(i)];
    const bool trims = pass.last_only && i + 1 == network_.layer_count;  // then one row goes on
    if (pass.count <= FEW)
      attention_of_few(worker, pass, i);
    else
      attention_of_many(worker, pass, i, trims ? pass.count - 1 : 0);
    if (trims) first = pass.count - 1;
    const int count = pass.count - first;
    linear(worker, layer.out, {attended_, width, nullptr}, first, count, Finish::Add, x_, width);
    linear(worker, layer.up, {x_, width, &layer.mlp_norm}, first, count, Finish::Gelu, hidden_, MLP * width);
    linear(worker, layer.down, {hidden_, MLP * width, nullptr}, first, count, Finish::Add, x_, width);
  }
  const Linear& output = output_[static_cast<std::size_t>(pass.output)];
  float* logits = pass.logits - static_cast<std::size_t>(first) * output.n;  // row `first` is the caller's first
  linear(worker, output, {x_, width, &network_.norm}, first, pass.count - first, Finish::Store, logits,
         static_cast<std::size_t>(output.n));
}

void Gpt::quantize(const Input& input, int row, int k, int block, Rows out, float* floats) const {
  const float* x = input.x + static_cast<std::size_t>(row) * input.stride;
  if (input.norm != nullptr) {
    operators_.normalize(x, input.norm->gain, input.norm->bias, k, floats);
    x = floats;
  }
  operators_.quantize(x, k, block, out);
}

int Gpt::panels_per_tile(const Linear& layer) const {
  return std::clamp(layer.panels() / (4 * team_.threads()), 1, MAX_TILE_PANELS);
}

/// Rows first … first + count - 1 of the input through a linear layer. `out` and the input begin at row 0.
void Gpt::linear(Worker& worker, const Linear& layer, Input input, int first, int count, Finish finish, float* out,
                 std::size_t stride) {
  Own& own = own_[static_cast<std::size_t>(worker.number())];
  const bool few = count <= FEW;
  Rows rows = few ? own.rows : quantized_;
  rows.blocks = layer.blocks();
  rows.stride = operators_.row_bytes(layer.k);
  const auto quantize_rows = [&](int from, int end) {
    for (int i = from; i < end; ++i) quantize(input, first + i, layer.k, layer.block, rows.from(i), own.floats);
  };
  if (!few)
    worker.phase(tiles_of(count, QUANTIZE_TILE), nothing,
                 [&](int tile) { quantize_rows(tile * QUANTIZE_TILE, std::min(count, (tile + 1) * QUANTIZE_TILE)); });
  const int panels = panels_per_tile(layer);
  const int columns = tiles_of(layer.panels(), panels);
  const int fit = static_cast<int>(ROWS_BYTES / rows.stride) / MAX_QUERIES * MAX_QUERIES;
  const int chunk = few ? FEW : std::max(fit, MAX_QUERIES);
  worker.phase(
      columns * tiles_of(count, chunk),
      [&] {
        if (few) quantize_rows(0, count);
      },
      [&](int tile) {
        const int panel = tile % columns * panels;
        const int row = tile / columns * chunk;
        operators_.product(layer, panel, std::min(panel + panels, layer.panels()), rows.from(row),
                           std::min(chunk, count - row), finish, out + static_cast<std::size_t>(first + row) * stride,
                           stride);
      });
}

/// A tile is a head: its queries, keys and values, its cache and its attention stay on one core.
void Gpt::attention_of_few(Worker& worker, const Pass& pass, int index) {
  const Layer& layer = layers_[static_cast<std::size_t>(index)];
  const auto width = static_cast<std::size_t>(network_.width);
  Own& own = own_[static_cast<std::size_t>(worker.number())];
  Rows rows = own.rows;
  rows.blocks = layer.qkv.blocks();
  rows.stride = operators_.row_bytes(layer.qkv.k);
  const Input input{x_, width, &layer.attention_norm};
  worker.phase(
      network_.heads,
      [&] {
        for (int i = 0; i < pass.count; ++i) quantize(input, i, layer.qkv.k, layer.qkv.block, rows.from(i), own.floats);
      },
      [&](int head) {
        for (int part = 0; part < 3; ++part) {
          const int panel = (part * network_.width + head * head_width_) / PANEL;
          operators_.product(layer.qkv, panel, panel + head_width_ / PANEL, rows, pass.count, Finish::Store, qkv_,
                             3 * width);
        }
        remember(pass, index, head, 0, pass.count);
        attend(pass, index, head, 0, pass.count, own.scratch);
      });
}

/// All positions go into the cache; the rows from `first` on attend.
void Gpt::attention_of_many(Worker& worker, const Pass& pass, int index, int first) {
  const Layer& layer = layers_[static_cast<std::size_t>(index)];
  const auto width = static_cast<std::size_t>(network_.width);
  Own& own = own_[static_cast<std::size_t>(worker.number())];
  linear(worker, layer.qkv, {x_, width, &layer.attention_norm}, 0, pass.count, Finish::Store, qkv_, 3 * width);
  const int chunks = tiles_of(pass.count, REMEMBER_TILE);
  worker.phase(network_.heads * chunks, nothing, [&](int tile) {
    const int from = tile % chunks * REMEMBER_TILE;
    remember(pass, index, tile / chunks, from, std::min(pass.count, from + REMEMBER_TILE));
  });
  const int groups = tiles_of(pass.count - first, ATTEND_TILE);
  worker.phase(network_.heads * groups, nothing, [&](int tile) {
    const int group = groups - 1 - tile / network_.heads;  // those that see most come first: the ends are even
    const int from = first + group * ATTEND_TILE;
    attend(pass, index, tile % network_.heads, from, std::min(pass.count, from + ATTEND_TILE), own.scratch);
  });
}

void Gpt::remember(const Pass& pass, int layer, int head, int first, int end) {
  const auto width = static_cast<std::size_t>(network_.width);
  for (int i = first; i < end; ++i) {
    const float* key =
        qkv_ + static_cast<std::size_t>(i) * 3 * width + width + static_cast<std::size_t>(head) * head_width_;
    operators_.remember(key, key + width, pass.position(i), cache(pass.cache_row(i), layer, head));
  }
}

void Gpt::attend(const Pass& pass, int layer, int head, int first, int end, std::uint8_t* scratch) {
  const auto width = static_cast<std::size_t>(network_.width);
  const bool causal = network_.causal != 0;
  const int most = pass.lengths != nullptr ? 1 : MAX_QUERIES;
  for (int i = first; i < end; i += most) {
    const std::size_t row = static_cast<std::size_t>(i);
    const std::size_t column = static_cast<std::size_t>(head) * head_width_;
    const int seen = causal ? pass.position(i) + 1 : pass.count;
    const Queries queries{qkv_ + row * 3 * width + column, 3 * width, std::min(most, end - i), seen, causal};
    operators_.attend(queries, cache(pass.cache_row(i), layer, head), attended_ + row * width + column, width, scratch);
  }
}

}  // namespace bark

// Memory straight from the system: zeroed, resident from its first use on, in huge pages where the system gives them.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>

namespace bark {

struct Unmap {
  std::size_t bytes;
  void operator()(std::uint8_t* p) const;
};
using Memory = std::unique_ptr<std::uint8_t, Unmap>;

/// Throws std::bad_alloc.
Memory allocate(std::size_t bytes);

/// The next `count` objects of a block of memory, from a multiple of 64 bytes on.
template <class T>
T* take(std::uint8_t*& memory, std::size_t count) {
  T* p = reinterpret_cast<T*>(memory);
  memory += (count * sizeof(T) + 63) / 64 * 64;
  return p;
}

}  // namespace bark

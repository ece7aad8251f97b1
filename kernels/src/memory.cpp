#include "memory.h"

#include <sys/mman.h>

#include <new>

namespace bark {
namespace {
constexpr std::size_t HUGE_PAGE = std::size_t{2} << 20;
}

void Unmap::operator()(std::uint8_t* p) const { munmap(p, bytes); }

Memory allocate(std::size_t bytes) {
  bytes = (bytes + HUGE_PAGE) / HUGE_PAGE * HUGE_PAGE;
  void* p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) throw std::bad_alloc();
  madvise(p, bytes, MADV_HUGEPAGE);  // a wish: it costs time, not results, if it is not granted
  return {static_cast<std::uint8_t*>(p), Unmap{bytes}};
}

}  // namespace bark

// Loops of a constant length, written out by the compiler.
#pragma once
#include <utility>

namespace bark {
namespace {

template <int I>
struct Index {
  constexpr operator int() const { return I; }  // NOLINT(google-explicit-constructor): it stands for its number
};

/// f(0), f(1), … f(N - 1). The argument is a constant, so arrays of registers may be indexed by it.
template <int N, class F>
[[gnu::always_inline]] inline void unroll(F&& f) {
  [&]<int... I>(std::integer_sequence<int, I...>)
      __attribute__((always_inline)) { (f(Index<I>{}), ...); }(std::make_integer_sequence<int, N>{});
}

/// f(Index<count>) for the count min(count, N) that is known at run time only.
template <int N, class F>
[[gnu::always_inline]] inline void with_constant(int count, F&& f) {
  if constexpr (N == 1) {
    f(Index<1>{});
  } else if (count >= N) {
    f(Index<N>{});
  } else {
    with_constant<N - 1>(count, f);
  }
}

/// f(Index<N>{}, i) for every i of first, first + N, … and f(Index<1>{}, i) for those that are left before `end`.
template <int N, class F>
[[gnu::always_inline]] inline void in_groups(int first, int end, F&& f) {
  int i = first;
  if constexpr (N > 1)
    for (; i + N <= end; i += N) f(Index<N>{}, i);
  for (; i < end; ++i) f(Index<1>{}, i);
}

}  // namespace
}  // namespace bark

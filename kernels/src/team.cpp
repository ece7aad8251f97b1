#include "team.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>

namespace bark {
namespace {

// A pause takes 10 to 60 ns. A phase of a decode step takes 20 to 200 µs, and to wake a sleeping thread 5 to 50 µs.
constexpr int SPINS_BETWEEN_PHASES = 1500;
constexpr int SPINS_BETWEEN_RUNS = 200;  // other models use the same cores

void sleep_while(std::atomic<int>& value, int expected) {
  syscall(SYS_futex, reinterpret_cast<int*>(&value), FUTEX_WAIT_PRIVATE, expected, nullptr, nullptr, 0);
}

void wake_all(std::atomic<int>& value) {
  syscall(SYS_futex, reinterpret_cast<int*>(&value), FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

}  // namespace

void Worker::phase(int count, Callback<> prepare, Callback<int> tile) {
  Team::Phase& phase = team_.phases_[static_cast<std::size_t>(phase_++)];
  bool prepared = false;
  for (int i; (i = phase.next.fetch_add(1)) < count;) {
    if (!prepared) prepare();
    prepared = true;
    tile(i);
    if (phase.done.fetch_add(1) + 1 == count && phase.sleepers.load() > 0) wake_all(phase.done);
  }
  for (int spins = 0; spins < SPINS_BETWEEN_PHASES; ++spins) {
    if (phase.done.load(std::memory_order_acquire) >= count) return;
    __builtin_ia32_pause();
  }
  phase.sleepers.fetch_add(1);
  for (int done; (done = phase.done.load()) < count;) sleep_while(phase.done, done);
  phase.sleepers.fetch_sub(1);
}

Team::Team(int threads, int max_phases)
    : phases_(std::make_unique<Phase[]>(static_cast<std::size_t>(max_phases))), max_phases_(max_phases) {
  try {
    for (int i = 1; i < threads; ++i) others_.emplace_back([this, i] { serve(i); });
  } catch (...) {  // no more threads: those that started must end
    closing_ = true;
    turn_ += 2;
    wake_all(turn_);
    for (auto& thread : others_) thread.join();
    throw;
  }
}

Team::~Team() {
  closing_ = true;
  turn_ += 2;
  wake_all(turn_);
  for (auto& thread : others_) thread.join();
}

void Team::run(Callback<Worker&> body) {
  for (int i = 0; i < max_phases_; ++i) {
    phases_[static_cast<std::size_t>(i)].next.store(0, std::memory_order_relaxed);
    phases_[static_cast<std::size_t>(i)].done.store(0, std::memory_order_relaxed);
  }
  body_ = &body;
  turn_.fetch_add(1);
  if (idle_.load() > 0) wake_all(turn_);
  Worker mine(*this, 0);
  body(mine);
  turn_.fetch_add(1);
  wait_for_others();
}

/// All tiles are done, but another thread may still be on its way through the phases.
void Team::wait_for_others() {
  for (int spins = 0; inside_.load() != 0; ++spins) {
    if (spins < SPINS_BETWEEN_PHASES)
      __builtin_ia32_pause();
    else
      std::this_thread::yield();
  }
}

void Team::serve(int number) {
  int seen = 0;
  while (!closing_.load()) {
    int turn = turn_.load();
    for (int spins = 0; turn == seen && spins < SPINS_BETWEEN_RUNS; ++spins) {
      __builtin_ia32_pause();
      turn = turn_.load();
    }
    if (turn == seen) {
      idle_.fetch_add(1);
      sleep_while(turn_, seen);
      idle_.fetch_sub(1);
      continue;
    }
    seen = turn;
    if (turn % 2 == 0) continue;
    // either `run` sees this thread inside, or this thread sees that the run is over
    inside_.fetch_add(1);
    if (turn_.load() == turn) {
      Worker mine(*this, number);
      (*body_)(mine);
    }
    inside_.fetch_sub(1);
  }
}

}  // namespace bark

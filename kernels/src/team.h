// Threads that share the tiles of a computation. A thread that the system has put aside holds up nobody: it has taken
// no tile, so the others do its share.
#pragma once
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

namespace bark {

/// Calls a function object that outlives the call. Unlike std::function it never allocates.
template <class... Args>
class Callback {
 public:
  template <class F>
  Callback(const F& f)  // NOLINT(google-explicit-constructor): stands in for a parameter of any callable type
      : object_(&f), call_([](const void* object, Args... args) { (*static_cast<const F*>(object))(args...); }) {}
  void operator()(Args... args) const { call_(object_, args...); }

 private:
  const void* object_;
  void (*call_)(const void*, Args...);
};

class Team;

/// One thread's view of a run.
class Worker {
 public:
  /// Does tiles 0 … count - 1 of the next phase together with the other threads, and returns when all are done.
  /// Every thread goes through the same phases. prepare() runs before a thread's first tile, if it gets one.
  void phase(int count, Callback<> prepare, Callback<int> tile);

  int number() const { return number_; }

 private:
  friend class Team;
  Worker(Team& team, int number) : team_(team), number_(number) {}

  Team& team_;
  int number_;
  int phase_ = 0;
};

class Team {
 public:
  /// Starts `threads` - 1 threads; the caller of `run` is the last one. max_phases: the most that a run has.
  Team(int threads, int max_phases);
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  int threads() const { return static_cast<int>(others_.size()) + 1; }

  /// Runs `body` on the calling thread and on every other thread that comes in time.
  void run(Callback<Worker&> body);

 private:
  friend class Worker;

  struct alignas(64) Phase {
    std::atomic<int> next{0};  // the first tile that nobody has taken
    std::atomic<int> done{0};  // tiles
    std::atomic<int> sleepers{0};
  };

  void serve(int number);
  void wait_for_others();

  std::unique_ptr<Phase[]> phases_;
  int max_phases_;
  alignas(64) std::atomic<int> turn_{0};    // odd: a run is open to other threads
  std::atomic<int> idle_{0};                // threads that sleep until the next run
  alignas(64) std::atomic<int> inside_{0};  // other threads within the run
  std::atomic<bool> closing_{false};
  const Callback<Worker&>* body_ = nullptr;
  std::vector<std::thread> others_;
};

}  // namespace bark

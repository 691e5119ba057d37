// SPDX-License-Identifier: Apache-2.0
// Env: what a scenario runs in. The same scenario runs in the World and on the Ring; only the Env differs.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "props/laws/fit_world.h"
#include "props/laws/judge.h"
#include "sim/disk.h"
#include "transport/base/mix.h"
#include "transport/base/sometimes.h"
#include "transport/fiber/scope.h"
#include "transport/net/network.h"
#include "transport/tls/tls_config.h"

namespace twinwire::sim {
class World;
}

namespace twinwire::laws {

// Machines that a scenario puts between its nodes and the World.
class Machines {
 public:
  // The network of that node; `own`: what it would have without.
  virtual Network& network_of(std::string_view node, Network& own) = 0;

 protected:
  ~Machines() = default;
};

// A number that a scenario reads and a user may set (--set name=value). Every one is echoed.
struct Knob {
  std::string name;
  std::int64_t value = 0;
};

// A number that gives a run its shape, and could be another one: what the minimiser lowers.
struct Shape {
  std::string name;
  std::int64_t value = 0;
  std::int64_t plain = 0;  // the value that makes the simplest run
  bool knob = false;       // read as a knob: a capsule keeps it in any case
};

class Env {
 public:
  Env(Scope& scope, Judge& judge, std::uint64_t seed, std::vector<Knob> knobs);
  virtual ~Env() = default;

  // The network of the node of that name, made at first use. On the Ring every node is this machine.
  virtual Network& node(std::string_view name) = 0;
  // Where a listener of that node may bind: its own address, port 0 (the network chooses; ask the listener).
  virtual Address bind_address(std::string_view name) = 0;
  virtual bool simulated() const noexcept = 0;
  // The World it is in; nullptr on the Ring.
  virtual sim::World* world() noexcept { return nullptr; }
  // In the World: from now on nodes are on these machines; nullptr: no longer. `slack` as below.
  void put_on(Machines* machines, Duration slack) noexcept {
    machines_ = machines;
    machines_slack_ = slack;
  }
  // How long after its deadline a call may return: virtual time passes only where a machine takes it.
  Duration slack() const noexcept {
    return simulated() ? machines_slack_ : Duration(std::chrono::seconds(2));
  }
  // From when on nothing goes wrong any more; on the Ring that is the beginning.
  virtual TimePoint calm() const noexcept = 0;
  // Runs a program on that node, and returns when it has ended. In the World it may be killed with all its fibers, and
  // is started again, with another Network and what is left on the node's disk (sim/node.h); fibers that it makes must
  // be in its own scopes, and what it leaves behind only what was synced, or was told to a law.
  virtual void run_node(std::string_view name,
                        const std::function<void(Network&, sim::Disk::File)>& program) = 0;
  // The disk of that node, for a law to look at.
  virtual sim::Disk& disk(std::string_view name) = 0;
  // It begins at the latest then: so that a law may say what happens at last.
  virtual void end_faults_at(TimePoint) {}
  // Whose datagrams come from an address, although a NAT may have given that socket another one. Outlives the Env.
  virtual std::function<Address(const Address& seen)> origins() {
    return [](const Address& seen) { return seen; };
  }
  // The options of a transport for a scenario that has no wishes of its own: the defaults, and where the transport
  // encrypts, certificates with which both sides know each other. The seed chooses what varies: version, mutual
  // authentication, tickets, key updates; for QUIC whether all messages share a stream.
  template <class T>
  typename T::Options listen_options() {
    return options<T>(true);
  }
  template <class T>
  typename T::Options dial_options() {
    return options<T>(false);
  }
  // A line for the trace.
  virtual void note(std::string_view who, std::string_view text) = 0;
  // The same where making the line costs something: `text()` is called where somebody listens.
  template <class F>
  void tell(std::string_view who, F&& text) {
    if (listened_) [[unlikely]]
      note_made(who, text);
  }

  // What the program saw of the run: results of calls, messages, ends; never when. Told folds what passes through it; a
  // scenario that calls a transport past it adds its own. `who` and `what` tell one result from another, so that the
  // order among fibers does not count. Two runs with equal outcomes were alike to the program (resample.h).
  void saw(std::uint64_t who, std::uint64_t what, std::uint64_t result) noexcept {
    if (keeps_outcome_) [[unlikely]]
      outcome_ += mix(mix(who, what), result + 1);
  }
  static std::uint64_t key_of(std::string_view who) noexcept {
    std::uint64_t key = 0xcbf29ce484222325ULL;
    for (const char c : who) key = (key ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
    return key;
  }
  std::uint64_t outcome() const noexcept { return outcome_; }
  void keep_outcome(bool on) noexcept { keeps_outcome_ = on; }
  // A state that must come now and then was reached; counted in the World.
  void reached(Sometimes state) noexcept { scope_->scheduler().reached(state); }

  // Draws that give the scenario its shape. Streamed from the seed, apart from every network's own randomness.
  // Uniform in [0, bound). The nth draw can be set as the knob "drawN"; the knob "draws" says how many come from the
  // seed, those after them being 0.
  std::uint64_t draw(std::uint64_t bound);
  // The value the user set for `name`, or `fallback`.
  std::int64_t knob(std::string_view name, std::int64_t fallback);
  // The same within bounds; what lies outside becomes the nearest that lies inside, and is echoed so.
  std::int64_t knob(std::string_view name, std::int64_t fallback, std::int64_t low,
                    std::int64_t high);

  // Whether a listener came to be; it is a violation where it did not, and descriptors were left.
  template <class Listener>
  bool listens(const Result<Listener>& listener) {
    judge_->check(listener.has_value() || listener.error() == Errc::no_resources, "accept",
                  "nobody could listen");
    return listener.has_value();
  }
  // A value that the seed gave, or the one that was set under that name. For plans that are drawn as a whole: asked
  // only while `shaping()`, so that an ordinary run does not pay for the names.
  std::int64_t shape(std::string_view name, std::int64_t drawn, std::int64_t plain = 0);
  bool shaping() const noexcept { return shaping_; }
  // To be told of each as it is read, once: what was told outlives a run that crashes.
  void on_shape(std::function<void(const Shape&)> told) {
    shaping_ = true;
    told_ = std::move(told);
  }

  // What became of what the run was about, in a word, for whoever counts over many runs.
  void went(std::string_view word) { course_ = word; }
  const std::string& course() const noexcept { return course_; }

  Scope& scope() noexcept { return *scope_; }
  Judge& judge() noexcept { return *judge_; }
  std::uint64_t seed() const noexcept { return seed_; }
  TlsConfig tls_config(bool listener);

  // Knobs in the order in which they were read, with the values used; and those set that nobody read.
  const std::vector<Knob>& knobs_read() const noexcept { return read_; }
  std::vector<std::string> knobs_unread() const;

 protected:
  void listen_to_notes(bool on) noexcept { listened_ = on; }
  Machines* machines() const noexcept { return machines_; }

 private:
  // Out of the way of those whom nobody listens to.
  template <class F>
  [[gnu::cold, gnu::noinline]] void note_made(std::string_view who, F& text) {
    note(who, text());
  }
  template <class T>
  typename T::Options options(bool listener) {
    typename T::Options options;
    if constexpr (requires { options.tls; }) options.tls = tls_config(listener);
    if constexpr (requires { fit_world(options); })
      if (simulated()) fit_world(options);
    if constexpr (requires { options.one_stream; }) options.one_stream = one_stream();
    return options;
  }

  bool one_stream();
  const Knob* set(std::string_view name) const noexcept;
  void was_read(std::string_view name, std::int64_t value);
  void tell_shape(std::string_view name, std::int64_t value, std::int64_t plain, bool knob);

  std::string course_;
  Machines* machines_ = nullptr;
  Duration machines_slack_{0};
  Scope* scope_;
  Judge* judge_;
  std::uint64_t seed_;
  std::uint64_t draws_ = 0;
  bool keeps_outcome_ = false;
  bool listened_ = false;
  std::uint64_t outcome_ = 0;
  std::vector<Knob> set_;
  std::vector<Knob> read_;
  bool shaping_;
  std::function<void(const Shape&)> told_;
  std::vector<std::string> told_of_;
  TlsConfig tls_[2];  // a dialer's and a listener's, once one was asked for
};

}  // namespace twinwire::laws

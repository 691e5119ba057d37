// SPDX-License-Identifier: Apache-2.0
#include "cli/storyteller.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <optional>

#include "cli/text.h"

namespace twinwire::cli {
namespace {

// The number behind `before` in a line, if it is there.
std::optional<std::uint64_t> number_behind(std::string_view line, std::string_view before) {
  const std::size_t at = line.find(before);
  if (at == std::string_view::npos) return std::nullopt;
  std::string_view rest = line.substr(at + before.size());
  return parse_u64(rest.substr(0, rest.find_first_not_of("0123456789")));
}

std::string time_in_words(std::uint64_t ns) {
  return format_duration(Duration(static_cast<std::int64_t>(ns)));
}

std::string plural(std::uint64_t n, std::string_view word) {
  return with_commas(n) + " " + std::string(word) + (n == 1 ? "" : "s");
}

bool ends_in_digits_of(const std::string& text, std::string_view name) {
  if (!text.starts_with(name) || text.size() == name.size()) return false;
  return text.find_first_not_of("0123456789", name.size()) == std::string::npos;
}

// "timer_drift: -120 ppm"
std::string drift(const std::string& who, std::string_view what) {
  const bool slow = what.find(": -") != std::string_view::npos;
  const std::uint64_t size = number_behind(what, slow ? ": -" : ": ").value_or(0);
  if (what.starts_with("clock_skew"))
    return "the calendar of " + who + " is " + time_in_words(size) + (slow ? " behind" : " ahead");
  return std::string(what.starts_with("clock") ? "the calendar" : "the clock") + " of " + who +
         " runs " + with_commas(size) + " ppm too " + (slow ? "slow" : "fast");
}

}  // namespace

std::vector<StoryLine> Storyteller::tell(const std::vector<ToldStep>& steps) {
  find_suffix(steps);
  for (const ToldStep& step : steps) {
    if (step.who.starts_with("law ")) {
      const std::string law = step.who.substr(4);
      std::string text = "LAW BROKEN: " + law + ". " + in_words(step.what);
      if (const auto words = law_in_words(law); !words.empty())
        text += "\nThe law: " + std::string(words);
      add(step.at, std::move(text));
      return std::move(lines_);  // what comes after it is only how the run ended
    }
    if (step.who == "the run") break;  // and was told to stop
    if (step.what.starts_with("is ") && step.what.find(':') != std::string::npos) {
      nodes_[step.what.substr(3, step.what.rfind(':') - 3)] = plain(step.who);
      continue;
    }
    if (step.what == "runs") continue;
    if (!of_a_stream(step)) (void)of_a_side(step);
  }
  flush();
  return std::move(lines_);
}

// Where all the ends are numbered alike there is one connection, and the number says nothing.
void Storyteller::find_suffix(const std::vector<ToldStep>& steps) {
  for (const ToldStep& step : steps)
    if (!step.what.starts_with("runs") && !step.what.starts_with("is ")) tellers_.insert(step.who);
  bool many = false;
  for (const ToldStep& step : steps)
    for (const std::string_view name : {"client", "server"}) {
      if (!ends_in_digits_of(step.who, name)) continue;
      const std::string suffix = step.who.substr(name.size());
      // A client that is left out has a node and says nothing.
      if (!tellers_.contains(step.who)) continue;
      many = many || (!suffix_.empty() && suffix != suffix_);
      suffix_ = suffix;
    }
  if (many) suffix_.clear();
}

std::string Storyteller::plain(const std::string& who) const {
  for (const std::string_view name : {"client", "server"})
    if (!suffix_.empty() && who == std::string(name) + suffix_) return std::string(name);
  return who;
}

// The law's own sentence, with its times as the story tells them.
std::string Storyteller::in_words(std::string_view sentence) {
  std::string text;
  std::optional<std::uint64_t> number;  // the word before, where it was one
  for (const std::string_view word : split_words(sentence)) {
    if (word == "ns" && number) {
      text.resize(text.rfind(' ') == std::string::npos ? 0 : text.rfind(' ') + 1);
      text += time_in_words(*number);
    } else {
      if (!text.empty()) text += ' ';
      text += word;
    }
    number = word.find_first_not_of("0123456789") == std::string_view::npos ? parse_u64(word)
                                                                            : std::nullopt;
  }
  return text;
}

// "server and client0, apart from client1"
std::string Storyteller::plain_list(std::string_view list) const {
  std::string text;
  for (std::string_view word : split_words(list)) {
    const bool comma = word.ends_with(',');
    if (comma) word.remove_suffix(1);
    if (!text.empty()) text += ' ';
    text += plain(std::string(word));
    if (comma) text += ',';
  }
  return text;
}

void Storyteller::flush() {
  if (pending_.kind.empty()) return;
  const Pending p = std::exchange(pending_, {});
  std::string text;
  if (p.kind == "reads") {
    text = p.first == p.last ? "message " + with_commas(p.first)
                             : "messages " + with_commas(p.first) + " to " + with_commas(p.last);
    text = p.who + " reads " + text;
  } else if (p.kind == "stops") {
    text = p.who + " is told to stop reading, and reads again" +
           (p.last == 1 ? "" : ", " + with_commas(p.last) + " times");
  } else if (p.kind == "lost") {
    text = "fault: " + plural(p.last, "datagram") + " " + p.who +
           (p.last == 1 ? " is lost" : " are lost");
  } else {
    text = p.who + ": bytes " + with_commas(p.first) + " to " + with_commas(p.last) + " arrive";
  }
  lines_.push_back({p.at, std::move(text)});
}

void Storyteller::add(TimePoint at, std::string text) {
  flush();
  if (!lines_.empty() && lines_.back().text == text)
    ++lines_.back().times;
  else
    lines_.push_back({at, std::move(text)});
}

void Storyteller::gather(const ToldStep& step, std::string kind, std::uint64_t first,
                         std::uint64_t last) {
  const std::string who = streams_.contains(step.who) ? streams_[step.who].label : plain(step.who);
  if (pending_.kind != kind || pending_.who != who) {
    flush();
    pending_ = {who, std::move(kind), step.at, first, first};
  }
  const bool counted = pending_.kind == "lost" || pending_.kind == "stops";
  pending_.last = counted ? pending_.last + last : last;
  if (pending_.kind == "arrive") pending_.at = step.at;
}

std::string Storyteller::node_at(std::string_view address) const {
  const std::string ip(address.substr(0, address.rfind(':')));
  const auto at = nodes_.find(ip);
  return at != nodes_.end() ? at->second : std::string(address);
}

// --- Streams and datagrams ------------------------------------------------------------------------------------------

void Storyteller::connects(const ToldStep& step) {
  const std::size_t arrow = step.who.find('>');
  const std::string a = step.who.substr(0, arrow);
  const std::string b = step.who.substr(arrow + 1);
  const std::string from = node_at(a);
  const std::string to = node_at(b);
  const int nth = ++between_[from + ">" + to];
  const std::string again = nth == 1 ? "" : " (connection " + std::to_string(nth) + ")";
  streams_[step.who] = {from, to, from + "→" + to + again};
  streams_[b + ">" + a] = {to, from, to + "→" + from + again};
}

bool Storyteller::of_a_stream(const ToldStep& step) {
  const std::size_t arrow = step.who.find('>');
  if (arrow == std::string::npos) return false;
  if (!streams_.contains(step.who)) {
    connects(step);
    if (step.what.find("datagram") != std::string::npos)
      add(step.at, streams_[step.who].from + " and " + streams_[step.who].to +
                       " begin to exchange datagrams");
  }
  const Stream& stream = streams_[step.who];
  const std::string& what = step.what;
  const std::string the = "the stream " + stream.label;
  const auto offset = number_behind(what, "at offset ").value_or(0);
  const auto fault = [&](const std::string& text) { add(step.at, "fault: " + text); };

  if (what == "connects") {
    add(step.at, stream.from + " connects to " + stream.to);
  } else if (what == "accepted") {
    add(step.at, stream.to + " accepts the connection of " + stream.from);
  } else if (what.starts_with("delivered the end")) {
    add(step.at, stream.to + " sees the end of " + the + ", after " + plural(offset, "byte"));
  } else if (what.starts_with("delivered ") && what.find("datagram") == std::string::npos) {
    delivered(step, stream);
  } else if (what.starts_with("reset arrives")) {
    add(step.at, stream.to + " sees a reset by " + stream.from + ", after " +
                     plural(number_behind(what, "behind ").value_or(0), "byte"));
  } else if (what.starts_with("short write: ")) {
    fault("of the " + with_commas(number_behind(what, " of ").value_or(0)) + " bytes that " +
          stream.from + " writes, the network takes " +
          with_commas(number_behind(what, "write: ").value_or(0)) +
          where(stream, offset + number_behind(what, "write: ").value_or(0)));
  } else if (what.starts_with("takes: ")) {
    const std::uint64_t taken = number_behind(what, "takes: ").value_or(0);
    add(step.at, "of the " + with_commas(number_behind(what, " of ").value_or(0)) + " bytes that " +
                     stream.from + " writes, the network takes " + with_commas(taken) +
                     where(stream, offset + taken) + ", since its buffer is full");
  } else if (what.starts_with("short read: ")) {
    fault("of " + plural(number_behind(what, " of ").value_or(0), "waiting byte") + ", " +
          stream.to + " gets " + with_commas(number_behind(what, "read: ").value_or(0)) +
          where(stream, offset + number_behind(what, "read: ").value_or(0)));
  } else if (what.starts_with("reset at offset ")) {
    fault(the + " is reset when byte " + with_commas(offset) + " would arrive" +
          where(stream, offset));
  } else if (what.starts_with("reset_one_side at offset ")) {
    fault(stream.to + " alone sees " + the + " reset when byte " + with_commas(offset) +
          " would arrive" + where(stream, offset));
  } else if (what.starts_with("silent_loss at offset ")) {
    fault("from byte " + with_commas(offset) + " on nothing of " + the + " arrives any more" +
          where(stream, offset));
  } else if (what.starts_with("early_fin at offset ")) {
    fault(stream.to + " sees a clean end of " + the + " in place of byte " + with_commas(offset) +
          where(stream, offset) + "; " + stream.from + " sees a reset");
  } else if (what.starts_with("delayed by ")) {
    fault("byte " + with_commas(offset) + " of " + the + " and what follows travel " +
          time_in_words(number_behind(what, "by ").value_or(0)) + " longer");
  } else if (what.starts_with("clogged for ")) {
    fault(the + " is clogged for " + time_in_words(number_behind(what, "for ").value_or(0)) +
          " from byte " + with_commas(offset) + " on");
  } else if (what.starts_with("connect_delay: ")) {
    fault("the connect of " + stream.from + " is answered " +
          time_in_words(number_behind(what, ": ").value_or(0)) + " later");
  } else if (what.starts_with("datagram_loss: ") || what.starts_with("datagram_burst: ")) {
    gather(step, "lost", 0, 1);
  } else if (what.starts_with("mtu_black_hole: ")) {
    fault("a datagram " + stream.label + " of " +
          plural(number_behind(what, "datagram of ").value_or(0), "byte") +
          " is lost: it is too large for the path");
  } else if (what.starts_with("datagram_cut: ")) {
    fault("of a datagram " + stream.label + " " + what.substr(14));
  } else if (what.starts_with("datagram_flip: ")) {
    fault("of a datagram " + stream.label + " " + what.substr(15));
  } else if (what.starts_with("bandwidth: ")) {
    fault(the + " runs over a slow line: a KiB takes " +
          time_in_words(number_behind(what, "takes ").value_or(0)) + " to leave");
  } else if (what.starts_with("datagram of ")) {
    if (const auto delay = number_behind(what, "delayed by "))
      fault("a datagram " + stream.label + " travels " + time_in_words(*delay) +
            " longer, and later ones overtake it");
    else
      fault(what + " (" + stream.label + ")");
  } else if (what.starts_with("delivered again")) {
    fault("a datagram " + stream.label + " arrives a second time");
  } else if (what != "connected" && !what.starts_with("delivered ")) {
    const bool benign = what.starts_with("no such host") || what.starts_with("refused") ||
                        what.starts_with("no answer") || what.starts_with("backlog");
    add(step.at, (benign ? "" : "fault: ") + stream.label + ": " + what);
  }
  return true;
}

// What goes over a connection before the first batch is its handshake.
void Storyteller::delivered(const ToldStep& step, const Stream&) {
  if (!any_batch_) return;
  const std::uint64_t size = number_behind(step.what, "delivered ").value_or(0);
  const std::uint64_t from = number_behind(step.what, "at offset ").value_or(0);
  gather(step, "arrive", from, from + size);
}

// --- Sides ----------------------------------------------------------------------------------------------------------

bool Storyteller::of_a_side(const ToldStep& step) {
  const std::string who = plain(step.who);
  const std::string& what = step.what;
  if (what.starts_with("runs after one")) {
    // A client that is left out of the plan has a fiber and does nothing.
    const std::string side = step.who.substr(0, step.who.find('.'));
    if (ends_in_digits_of(side, "client") && !tellers_.contains(side)) return true;
    add(step.at, "order: " + who + " runs after one that was woken later");
  } else if (what.starts_with("begins batch ")) {
    begins_batch(step);
  } else if (what.starts_with("reads message ")) {
    const std::uint64_t n = number_behind(what, "message ").value_or(0);
    gather(step, "reads", n, n);
  } else if (what.starts_with("is told to stop reading")) {
    gather(step, "stops", 0, 1);
  } else if (what.starts_with("batch ")) {
    ends_batch(step);
  } else if (what.starts_with("request ")) {
    add(step.at, who + "'s " + what);
  } else if (what.starts_with("begins to close")) {
    closing_.insert(who);
    add(step.at, who + " begins to close, and has " +
                     time_in_words(number_behind(what, "within ").value_or(0)) + " for it");
  } else if ((what.starts_with("reading ends: closed") ||
              what.starts_with("reading ends: canceled")) &&
             closing_.contains(who)) {
    // Its own end has taken over what was still to be read.
  } else if (what.starts_with("reading ends: ")) {
    add(step.at, who + "'s reading ends: " + what.substr(14));
  } else if (what.starts_with("close ")) {
    add(step.at, who + ": " + what);
  } else if (what.starts_with("accept fails: ")) {
    // Told by the network as well, by the connection's name.
    add(step.at, who + ": " + what);
  } else if (what.starts_with("dial failed")) {
    add(step.at, who + "'s " + what);
  } else if (of_a_node(step)) {
    // Told there.
  } else if (what == "vanishes") {
    closing_.insert(who);
    add(step.at, who + " drops its connection without a good-bye");
  } else {
    add(step.at, who + " " + what);
  }
  return true;
}

// What happens to a node as a whole, and what becomes of it.
bool Storyteller::of_a_node(const ToldStep& step) {
  const std::string who = plain(step.who);
  const std::string& what = step.what;
  const auto length = [&] { return time_in_words(number_behind(what, " for ").value_or(0)); };
  if (what.starts_with("crash for ")) {
    add(step.at,
        "fault: the program on " + who + " is killed; it may start again " + length() + " later");
  } else if (what.starts_with("power_loss for ")) {
    add(step.at, "fault: " + who + " loses power for " + length());
  } else if (what.starts_with("pause for ")) {
    add(step.at, "fault: " + who + " stands still for " + length() + "; its kernel goes on");
  } else if (what.starts_with("small_buffer: ") || what.starts_with("short_backlog: ")) {
    const bool backlog = what.starts_with("short");
    add(step.at, "fault: a " + std::string(backlog ? "backlog" : "buffer") + " of " + who + " " +
                     what.substr(what.find(": ") + 2));
  } else if (what.starts_with("clock_skew: ") || what.starts_with("clock_drift: ") ||
             what.starts_with("timer_drift: ")) {
    add(step.at, "fault: " + drift(who, what));
  } else if (what.starts_with("address_change: ")) {
    add(step.at, "fault: from here on " + node_at(who) + " is seen as " +
                     what.substr(what.find("seen as ") + 8) + " in place of " + who);
  } else if (step.who == "network") {
    of_an_outage(step);
  } else if (step.who == "faults" && what == "end") {
    add(step.at, std::string(no_more_faults));
  } else {
    return false;
  }
  return true;
}

// "isolation: server for 5 ns"
void Storyteller::of_an_outage(const ToldStep& step) {
  const std::string_view what = step.what;
  const std::size_t colon = what.find(": ");
  const std::size_t end = what.rfind(" for ");
  const std::string_view kind = what.substr(0, colon);
  const std::size_t list_end = std::min(end, what.rfind(" without end"));
  const std::string who = plain_list(what.substr(colon + 2, list_end - colon - 2));
  const std::string length =
      end == std::string_view::npos
          ? "from here on"
          : "for " + time_in_words(number_behind(what.substr(end), " for ").value_or(0));
  if (kind == "isolation")
    add(step.at,
        "fault: " + length + " no other node hears " + who + ", and " + who + " hears none");
  else if (kind == "partition_one_way")
    add(step.at, "fault: " + length + " nothing gets through from " +
                     std::string(who).replace(who.find(" towards "), 9, " to "));
  else if (kind == "split")
    add(step.at, "fault: " + length + " the network is split: " + who);
  else
    add(step.at, "fault: " + length + " " + who + " do not hear each other");
}

void Storyteller::begins_batch(const ToldStep& step) {
  any_batch_ = true;
  SentBatch batch;
  std::uint64_t messages = 0;
  std::uint64_t bytes = 0;
  const std::size_t of = step.what.find(" of ");
  std::string sizes;
  if (of != std::string::npos) {
    std::string_view list = std::string_view(step.what).substr(of + 4);
    list = list.substr(0, list.find(' '));
    while (!list.empty()) {
      const std::string_view item = list.substr(0, list.find('+'));
      list.remove_prefix(std::min(list.size(), item.size() + 1));
      const std::size_t times = item.find('x');
      const bool many = times != std::string_view::npos;
      const std::uint64_t n = many ? parse_u64(item.substr(0, times)).value_or(1) : 1;
      const std::uint64_t size = parse_u64(many ? item.substr(times + 1) : item).value_or(0);
      batch.runs.emplace_back(n, size);
      messages += n;
      bytes += n * size;
      if (!sizes.empty()) sizes += list.empty() ? " and " : ", ";
      sizes += (many ? with_commas(n) + " of " : "") + with_commas(size);
    }
  }
  const std::uint64_t number = number_behind(step.what, "batch ").value_or(0);
  std::string text = plain(step.who) + " begins to send batch " + std::to_string(number) + ": ";
  if (messages == 0)
    text += "no message";
  else if (messages == 1)
    text += "1 message of " + with_commas(bytes) + " bytes";
  else if (batch.runs.size() == 1)
    text += with_commas(messages) + " messages of " + with_commas(bytes / messages) + " bytes each";
  else if (batch.runs.size() > 8)
    text += with_commas(messages) + " messages, " + with_commas(bytes) + " bytes together";
  else
    text += with_commas(messages) + " messages of " + sizes + " bytes";
  batches_[plain(step.who)].push_back(std::move(batch));
  add(step.at, std::move(text));
}

// One that is sent in the instant in which it was begun is one line.
void Storyteller::ends_batch(const ToldStep& step) {
  const std::string who = plain(step.who);
  const std::string begun =
      who + " begins to send " + step.what.substr(0, step.what.rfind(' ')) + ":";
  const bool at_once = pending_.kind.empty() && !lines_.empty() && lines_.back().at == step.at &&
                       lines_.back().text.starts_with(begun) && step.what.ends_with(" succeeded");
  if (!at_once) return add(step.at, who + ": " + step.what);
  std::string& text = lines_.back().text;
  text.replace(who.size(), std::string_view(" begins to send ").size(), " sends ");
  text += ", and succeeds at once";
}

const std::vector<Storyteller::SentBatch>* Storyteller::batches_of(const Stream& stream) const {
  // A server's end is numbered as its client is, and its node is not.
  std::string number;
  for (const char c : stream.to)
    if (c >= '0' && c <= '9') number += c;
  for (const std::string& who : {stream.from, stream.from + number})
    if (const auto at = batches_.find(who); at != batches_.end()) return &at->second;
  return nullptr;
}

std::string Storyteller::where(const Stream& stream, std::uint64_t offset) const {
  const auto* batches = bare_frames_ ? batches_of(stream) : nullptr;
  if (batches == nullptr) return "";
  std::uint64_t at = 0;
  for (std::size_t b = 0; b < batches->size(); ++b) {
    std::uint64_t message = 0;
    for (const auto& [count, size] : (*batches)[b].runs) {
      if (size == 0 || offset >= at + count * size) {
        at += count * size;
        message += count;
        continue;
      }
      const std::uint64_t in_run = (offset - at) / size;
      const bool between = (offset - at) % size == 0;
      return std::string(between ? " (just before message " : " (inside message ") +
             with_commas(message + in_run + 1) + " of batch " + std::to_string(b + 1) + ")";
    }
  }
  return " (behind the last message)";
}

}  // namespace twinwire::cli

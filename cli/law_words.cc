// SPDX-License-Identifier: Apache-2.0
// The laws in a sentence each, for the end of a story. What they mean to the byte: docs/contract.md.
#include <algorithm>
#include <iterator>

#include "cli/storyteller.h"

namespace twinwire::cli {
namespace {

struct LawInWords {
  std::string_view law;
  std::string_view words;
};

constexpr LawInWords laws_in_words[] = {
    {"prefix", "a reader yields the messages that were sent, whole, in order, each once"},
    {"accepted", "a send succeeds once the network has taken every byte, and not before"},
    {"drop",
     "after a failed send the connection is reset at once, without a good-bye, and left alone"},
    {"batch_kept", "a batch that failed comes back whole"},
    {"batch_reused", "a batch that was sent is empty and keeps its memory"},
    {"reader_wakes", "when sending fails or a close succeeds, reading ends as well"},
    {"read_checks", "bad messages are refused and their sender dropped; honest ones are not"},
    {"read_bounded", "no memory is taken for a message before its size was checked"},
    {"read_end", "an end between two messages reads as closed, one inside a message as broken"},
    {"deadline", "no call returns after its deadline"},
    {"close_delivers", "where a close succeeds, the peer has got everything and said good-bye"},
    {"close_returns", "a close returns within the time that it was given"},
    {"accept",
     "a mute or failing peer delays no other and ends no listener; handshakes are bounded"},
    {"zero_copy", "what is written lies where the messages lie, and was not copied"},
    {"batch_limit", "batches of up to 512 messages are sent, larger ones refused whole"},
    {"errors", "a call fails with one of its documented errors, and a final error stays"},
    {"leak", "at the end every socket is closed and every buffer given back"},
    {"identity", "who cannot show who it is, is refused; an honest peer is served"},
    {"backpressure", "who sends feels a peer that does not read; nothing piles up without bound"},
    {"reply_matches", "each reply goes to the request that it answers"},
    {"request_intact", "a request arrives as it was made"},
    {"request_once", "a request arrives once"},
    {"request_answered", "a request whose reply was sent gets it"},
    {"request_alone", "a request that fails ends nothing but itself"},
    {"log_durable", "what was acknowledged is in the log, whatever happens to its node"},
    {"log_once", "nothing is in the log twice, or out of turn"},
    {"log_order", "the log has each client's messages in order, without a gap"},
    {"log_delivered", "once the faults have ended, everything is delivered within a bound"},
    {"unharmed",
     "what is told to stop, or finds no memory, costs itself and at most its connection"},
    {"authentic", "who is taken for a replica is that replica, and knows who verified it"},
    {"handshake_agrees", "two honest replicas agree where the network lets them"},
    {"handshake_silent", "who has proven nothing is not told why it is refused"},
    {"handshake_replay", "a handshake that came to its end is not begun again"},
    {"handshake_fresh", "what is older than the window is refused"},
    {"handshake_keys", "a key whose time is over opens nothing"},
    {"handshake_bounded", "no more nonces are remembered than there is room for"},
    {"exception", "no exception leaves a scenario"},
    {"bus_prefix",
     "a handler is given what was queued for its connection: whole, in order, each once"},
    {"bus_suspends", "a send over the bus lets no other fiber run"},
    {"bus_refusal", "a message that the bus refuses stays whole, and the sender's"},
    {"bus_notify", "each connection is told of once when it comes and once when it is lost"},
    {"bus_alone", "while one peer takes nothing, the others are served at once"},
    {"bus_duplicate", "a replica's second connection is dropped at once and reaches no handler"},
    {"bus_winner", "a connection of replicas ends for a reason"},
    {"bus_identity", "whoever has not proven who it is reaches no handler"},
    {"bus_handshakes", "unfinished handshakes are few, end in time, and hold up nobody"},
    {"bus_mesh", "after the faults all replicas are connected, and hear each other"},
    {"bus_served", "where nothing goes wrong, a client is served"},
    {"bus_left", "what has lost its place in the bus soon ends, and leaves nothing"},
    {"bus_forward",
     "what one shard sends to a peer of another comes in order, or comes back, and goes no "
     "further"},
    {"bus_owner", "of several shards exactly one has a replica, and all know which"},
    {"bus_lanes", "after the shutdown nothing is left between shards"},
    {"log_majority", "what a client was told is in the log stands on a majority of the disks"},
    {"log_gap", "no entry comes to a backup before its turn, and nothing that may not be"},
    {"log_prefix", "the log of every replica is the beginning of the primary's"},
    {"log_answer", "a request is answered with what its own application has made of it"},
    {"log_applied", "a replica applies what is committed, in order, each once"},
    {"log_recovers", "a replica starts again from what a crash has left"},
    {"log_left", "a replica of the log ends when its bus does, and leaves nothing"},
    {"bus_drain", "a shutdown sends what is queued to those who read, and ends in time"},
};

}  // namespace

std::string_view law_in_words(std::string_view law) {
  const auto* const at = std::find_if(std::begin(laws_in_words), std::end(laws_in_words),
                                      [&](const LawInWords& entry) { return entry.law == law; });
  return at != std::end(laws_in_words) ? at->words : std::string_view();
}

}  // namespace twinwire::cli

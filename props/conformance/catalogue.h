// SPDX-License-Identifier: Apache-2.0
// The conformance body: every case, for every transport, to be run in every world. A transport that passes keeps the
// contract of the message seam as far as directed cases can show; the laws over seeds do the rest.
#pragma once

#include <string_view>
#include <vector>

#include "props/conformance/connecting_cases.h"
#include "props/conformance/halves_cases.h"
#include "props/conformance/reading_cases.h"
#include "props/conformance/sending_cases.h"
#include "props/laws/registry.h"

namespace twinwire::props {

struct Case {
  std::string_view name;
  laws::ScenarioBody body;
};

template <Transport T>
std::vector<Case> cases_of() {
  using S = SendingCases<T>;
  using R = ReadingCases<T>;
  using C = ConnectingCases<T>;
  using H = HalvesCases<T>;
  std::vector<Case> cases = {
      {"batches_arrive_whole_and_reuse_their_allocation",
       &S::batches_arrive_whole_and_reuse_their_allocation},
      {"short_writes_are_finished_and_never_surface",
       &S::short_writes_are_finished_and_never_surface},
      {"a_deadline_in_mid_batch_drops_the_connection",
       &S::a_deadline_in_mid_batch_drops_the_connection},
      {"a_canceled_send_drops_the_connection", &S::a_canceled_send_drops_the_connection},
      {"destroying_a_half_resets_the_peer", &S::destroying_a_half_resets_the_peer},
      {"an_empty_batch_does_nothing_and_513_are_refused",
       &S::an_empty_batch_does_nothing_and_513_are_refused},
      {"reads_that_are_told_to_stop_lose_nothing", &R::reads_that_are_told_to_stop_lose_nothing},
      {"a_read_with_nothing_to_read_times_out", &R::a_read_with_nothing_to_read_times_out},
      {"a_message_over_the_maximum_is_invalid", &R::a_message_over_the_maximum_is_invalid},
      {"close_delivers_everything_and_both_sides_agree",
       &R::close_delivers_everything_and_both_sides_agree},
      {"close_gives_up_when_its_grace_is_over", &R::close_gives_up_when_its_grace_is_over},
      {"a_reader_that_drops_fails_the_writer_with_one_error",
       &R::a_reader_that_drops_fails_the_writer_with_one_error},
      {"close_wakes_a_pending_read_with_closed", &R::close_wakes_a_pending_read_with_closed},
      {"a_read_begun_with_a_cancel_pending_takes_nothing",
       &H::a_read_begun_with_a_cancel_pending_takes_nothing},
      {"a_reader_destroyed_after_closed_leaves_the_writer_up",
       &H::a_reader_destroyed_after_closed_leaves_the_writer_up},
      {"the_first_reason_of_a_drop_stays", &H::the_first_reason_of_a_drop_stays},
      {"dialling_where_nobody_listens_is_refused", &C::dialling_where_nobody_listens_is_refused},
      {"accept_times_out_and_obeys_cancellation", &C::accept_times_out_and_obeys_cancellation},
      {"a_canceled_accept_leaves_its_connection_to_the_next",
       &C::a_canceled_accept_leaves_its_connection_to_the_next},
      {"two_listeners_cannot_have_one_port", &C::two_listeners_cannot_have_one_port},
      {"a_hundred_connections_are_served_at_once", &C::a_hundred_connections_are_served_at_once},
  };
  if constexpr (can_try_read<T>)
    cases.push_back({"what_came_together_is_taken_without_suspending",
                     &R::what_came_together_is_taken_without_suspending});
  return cases;
}

}  // namespace twinwire::props

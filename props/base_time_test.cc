// SPDX-License-Identifier: Apache-2.0
// Time as a value: saturation, and that a deadline can neither wrap into the past nor into eternity.
// ctest: no_tsan
#include "transport/base/time.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <limits>

namespace twinwire {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint earliest{std::numeric_limits<std::int64_t>::min()};

// Each is also a constant expression: there an overflow would not compile.
static_assert(TimePoint{5} + 7ns == TimePoint{12});
static_assert(TimePoint{5} + -7ns == TimePoint{-2});
static_assert(TimePoint::never() + 1ns == TimePoint::never());
static_assert(TimePoint::never() + -1ns == TimePoint::never());
static_assert(TimePoint::never() + Duration::min() == TimePoint::never());
static_assert(TimePoint{1} + Duration::max() == TimePoint::never());
static_assert(TimePoint{0} + Duration::max() == TimePoint::never());
static_assert(TimePoint{-1} + Duration::max() < TimePoint::never());
static_assert(TimePoint{-1} + Duration::min() == earliest);
static_assert(earliest + Duration::min() == earliest);
static_assert(earliest + -1ns == earliest);
static_assert(TimePoint{9} - TimePoint{4} == 5ns);
static_assert(TimePoint{4} - TimePoint{9} == -5ns);
static_assert(TimePoint::never() - TimePoint{-1} == Duration::max());
static_assert(earliest - TimePoint{1} == Duration::min());
static_assert(earliest - TimePoint::never() == Duration::min());
static_assert(TimePoint::never() - TimePoint::never() == 0ns);

TEST(TimeTest, a_sum_that_is_too_early_is_not_for_ever) {
  // A negative patience of absurd size must give a deadline that has passed, not one that never comes.
  EXPECT_LT((TimePoint{-10} + Duration::min()), TimePoint{});
}

TEST(TimeTest, sums_are_exact_up_to_the_ends) {
  const std::int64_t last = std::numeric_limits<std::int64_t>::max() - 1;
  EXPECT_EQ((TimePoint{last - 10} + 10ns).ns, last);
  EXPECT_EQ((TimePoint{earliest.ns + 10} + -10ns), earliest);
}

TEST(TimeTest, a_deadline_is_never_unless_it_is_set_and_never_is_the_latest) {
  EXPECT_EQ(Deadline{}, Deadline::never());
  EXPECT_EQ(Deadline{}.at, TimePoint::never());
  EXPECT_LT((Deadline{{std::numeric_limits<std::int64_t>::max() - 1}}), Deadline::never());
  EXPECT_EQ(earlier({{3}}, {{4}}), Deadline{{3}});
  EXPECT_EQ(earlier({{4}}, {{3}}), Deadline{{3}});
  EXPECT_EQ(earlier(Deadline::never(), {{3}}), Deadline{{3}});
  EXPECT_EQ(earlier(Deadline::never(), Deadline::never()), Deadline::never());
}

TEST(TimeTest, time_points_are_ordered_as_their_numbers) {
  EXPECT_LT(earliest, TimePoint{-1});
  EXPECT_LT(TimePoint{-1}, TimePoint{});
  EXPECT_LT(TimePoint{}, TimePoint{1});
  EXPECT_LT(TimePoint{1}, TimePoint::never());
}

}  // namespace
}  // namespace twinwire

// SPDX-License-Identifier: Apache-2.0
// The closed set of errors: every one has a name and a sentence, and every errno one meaning.
// ctest: no_tsan
#include "transport/base/error.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <set>
#include <string>
#include <type_traits>

#include "transport/base/check.h"

namespace twinwire {
namespace {

TEST(ErrorTest, every_error_has_its_own_name_and_sentence) {
  std::set<std::string_view> names;
  std::set<std::string_view> sentences;
  for (int i = 0; i < errc_count; ++i) {
    const auto code = static_cast<Errc>(i);
    EXPECT_NE(name(code), "unknown");
    EXPECT_NE(description(code), "unknown error");
    EXPECT_TRUE(names.insert(name(code)).second) << name(code);
    EXPECT_TRUE(sentences.insert(description(code)).second) << description(code);
    EXPECT_EQ(to_string(Error{code}),
              std::string(name(code)) + ": " + std::string(description(code)));
  }
  EXPECT_EQ(errc_count, 14);
  EXPECT_EQ(name(static_cast<Errc>(errc_count)), "unknown");
  EXPECT_EQ(description(static_cast<Errc>(errc_count)), "unknown error");
}

TEST(ErrorTest, names_are_the_enumerators) {
  EXPECT_EQ(name(Errc::closed), "closed");
  EXPECT_EQ(name(Errc::broken), "broken");
  EXPECT_EQ(name(Errc::invalid), "invalid");
  EXPECT_EQ(name(Errc::canceled), "canceled");
  EXPECT_EQ(name(Errc::timed_out), "timed_out");
  EXPECT_EQ(name(Errc::refused), "refused");
  EXPECT_EQ(name(Errc::unreachable), "unreachable");
  EXPECT_EQ(name(Errc::handshake), "handshake");
  EXPECT_EQ(name(Errc::too_large), "too_large");
  EXPECT_EQ(name(Errc::backpressure), "backpressure");
  EXPECT_EQ(name(Errc::not_connected), "not_connected");
  EXPECT_EQ(name(Errc::shutting_down), "shutting_down");
  EXPECT_EQ(name(Errc::no_resources), "no_resources");
  EXPECT_EQ(name(Errc::unsupported), "unsupported");
}

TEST(ErrorTest, the_operating_systems_part_is_told_by_name) {
  EXPECT_EQ(to_string({Errc::broken, ECONNRESET}), "broken: the connection failed (ECONNRESET)");
  EXPECT_EQ(to_string({Errc::broken, 4711}), "broken: the connection failed (4711)");
}

TEST(ErrorTest, errno_means_what_the_caller_does_next) {
  const struct {
    Errc code;
    std::initializer_list<int> errnos;
  } table[] = {
      {Errc::refused, {ECONNREFUSED}},
      {Errc::unreachable,
       {EHOSTUNREACH, ENETUNREACH, EHOSTDOWN, ENETDOWN, EADDRNOTAVAIL, EADDRINUSE, EACCES, EPERM}},
      {Errc::canceled, {ECANCELED}},
      {Errc::no_resources, {EMFILE, ENFILE, ENOBUFS, ENOMEM}},
      {Errc::too_large, {EMSGSIZE}},
      {Errc::unsupported, {EOPNOTSUPP, EAFNOSUPPORT, EPROTONOSUPPORT, ENOSYS, EINVAL}},
      {Errc::not_connected, {ENOTCONN}},
      {Errc::broken, {ECONNRESET, EPIPE, ECONNABORTED, ETIMEDOUT, EIO, EPROTO}},
  };
  for (const auto& row : table)
    for (const int err : row.errnos) {
      EXPECT_EQ(from_errno(err).code, row.code) << ::strerrorname_np(err);
      EXPECT_EQ(from_errno(err).os_errno, err);
    }
}

TEST(ErrorTest, no_errno_is_taken_for_an_orderly_end_or_for_our_own_deadline) {
  for (int err = 1; err < 200; ++err) {
    const Error error = from_errno(err);
    EXPECT_EQ(error.os_errno, err);
    for (const Errc never : {Errc::closed, Errc::timed_out, Errc::invalid, Errc::handshake,
                             Errc::backpressure, Errc::shutting_down})
      EXPECT_NE(error.code, never) << err;
  }
}

TEST(ErrorTest, two_errors_with_the_same_next_move_are_the_same) {
  EXPECT_EQ((Error{Errc::broken, EPIPE}), (Error{Errc::broken, ECONNRESET}));
  EXPECT_NE((Error{Errc::broken}), (Error{Errc::closed}));
  EXPECT_EQ((Error{Errc::broken, EPIPE}), Errc::broken);
}

Result<int> half(int n) {
  if (n % 2 != 0) return Errc::invalid;
  return n / 2;
}
Result<std::unique_ptr<int>> boxed(bool ok) {
  if (!ok) return Error{Errc::no_resources, ENOMEM};
  return std::make_unique<int>(7);
}
Result<void> nothing(bool ok) {
  if (!ok) return from_errno(EPIPE);
  return {};
}

TEST(ResultTest, carries_a_value_or_an_error) {
  EXPECT_EQ(*half(8), 4);
  EXPECT_EQ(half(7).error(), Errc::invalid);
  EXPECT_EQ(half(7).error().os_errno, 0);
  EXPECT_EQ(**boxed(true), 7);
  EXPECT_EQ(boxed(false).error().os_errno, ENOMEM);
  EXPECT_TRUE(nothing(true));
  EXPECT_EQ(nothing(false).error(), Errc::broken);
}

// A bool from Errc or a Result<bool> from an error must not come out as a value.
TEST(ResultTest, an_error_is_never_taken_for_a_value) {
  const Result<bool> from_code = Errc::closed;
  EXPECT_FALSE(from_code.has_value());
  const Result<bool> from_error = Error{Errc::broken, 1};
  EXPECT_FALSE(from_error.has_value());
  const Result<bool> no = false;
  EXPECT_TRUE(no.has_value());
  EXPECT_FALSE(*no);
  static_assert(!std::is_convertible_v<Errc, bool>);
  static_assert(!std::is_convertible_v<Error, bool>);
}

TEST(CheckDeathTest, a_broken_precondition_aborts_with_a_sentence_in_release_too) {
  EXPECT_DEATH(TWINWIRE_CHECK(1 + 1 == 3, "arithmetic is broken"),
               "twinwire: arithmetic is broken \\(1 \\+ 1 == 3 at .*base_error_test.cc:[0-9]+\\)");
  TWINWIRE_CHECK(true, "not this");
}

}  // namespace
}  // namespace twinwire

// SPDX-License-Identifier: Apache-2.0
// The message seam: what every transport promises, as concepts. Code that uses a transport is compiled for it.
//
// The contract is in docs/contract.md, clause by clause; FramedReader, FramedWriter and FramedListener document each
// call. Whoever claims to model a concept says so with a static_assert beside its definition.
#pragma once

#include <concepts>
#include <cstddef>
#include <string_view>
#include <utility>

#include "transport/base/error.h"
#include "transport/base/time.h"
#include "transport/fiber/scope.h"
#include "transport/net/address.h"
#include "transport/net/network.h"
#include "transport/wire/batch.h"
#include "transport/wire/message.h"

namespace twinwire {

// The sending half of a connection.
template <class W>
concept MessageWriter = std::move_constructible<W> &&
                        requires(W writer, Batch& batch, Deadline deadline, Duration grace) {
                          { writer.send_batch(batch, deadline) } -> std::same_as<Result<void>>;
                          { writer.close(grace) } -> std::same_as<Result<void>>;
                        };

// The receiving half.
template <class R>
concept MessageReader =
    std::move_constructible<R> && requires(R reader, std::size_t max, Deadline deadline) {
      { reader.read_message(max, deadline) } -> std::same_as<Result<Message>>;
    };

// A connection whose handshake is done; split() makes its halves, which may move to different fibers.
template <class C>
concept MessageConn = std::move_constructible<C> && MessageReader<typename C::Reader> &&
                      MessageWriter<typename C::Writer> && requires(C conn) {
                        {
                          split(std::move(conn))
                        } -> std::same_as<std::pair<typename C::Reader, typename C::Writer>>;
                      };

template <class L>
concept MessageListener = std::move_constructible<L> && MessageConn<typename L::Conn> &&
                          requires(L listener, Deadline deadline) {
                            {
                              listener.accept(deadline)
                            } -> std::same_as<Result<std::pair<typename L::Conn, Address>>>;
                            { listener.local() } -> std::same_as<Address>;
                          };

// A transport as a whole: what `--transport NAME` chooses.
template <class T>
concept Transport = MessageListener<typename T::Listener> && MessageConn<typename T::Conn> &&
                    std::same_as<typename T::Conn, typename T::Listener::Conn> &&
                    std::default_initializable<typename T::Options> &&
                    requires(Network& network, Scope& background, const Address& address,
                             const typename T::Options& options, Deadline deadline) {
                      { T::name } -> std::convertible_to<std::string_view>;
                      {
                        T::listen(network, background, address, options)
                      } -> std::same_as<Result<typename T::Listener>>;
                      {
                        T::dial(network, address, options, deadline)
                      } -> std::same_as<Result<typename T::Conn>>;
                    };

// What a transport says of itself beyond the concept, by a `static constexpr bool` of that name; no where it is silent.
// The laws are as strict with it as it promises to be.

// zero_copy: a batch is written from where it lies, and nothing else is.
template <class T>
inline constexpr bool is_zero_copy = requires { requires T::zero_copy; };
// bare_frames: the bytes of the stream are the frames.
template <class T>
inline constexpr bool has_bare_frames = requires { requires T::bare_frames; };
// heads_beside_messages: between the messages of a batch, small heads of the protocol's own are written.
template <class T>
inline constexpr bool has_heads_beside = requires { requires T::heads_beside_messages; };
// client_copies: the dialing side cannot write a batch from where it lies.
template <class T>
inline constexpr bool client_copies = requires { requires T::client_copies; };
// exchanges_at_dial: dial() returns after an exchange with the peer, and so fails where the peer drops meanwhile.
template <class T>
inline constexpr bool exchanges_at_dial = requires { requires T::exchanges_at_dial; };
// over_datagrams: it carries its messages in datagrams; what is known of byte streams does not apply.
template <class T>
inline constexpr bool over_datagrams = requires { requires T::over_datagrams; };
// authentic_end: `closed` was said by the peer, and by nobody else.
template <class T>
inline constexpr bool has_authentic_end = requires { requires T::authentic_end; };

}  // namespace twinwire

// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What a channel cannot show of its socket: how often it asks the kernel, and what it leaves
// behind.

#include "net/tls_socket.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/crypto.h>
#include <openssl/ssl.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <future>
#include <memory>
#include <semaphore>
#include <span>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"
#include "support/status_is.h"
#include "unit/net/tls_client.h"
#include "unit/net/tls_server.h"

namespace okms {
namespace {

using test::IsOkAndHolds;
using test::TlsServer;

class TlsSocketTest : public test::TlsVersionTest {
 protected:
  std::unique_ptr<TlsSocket> Connect(const TlsServer& server) {
    const HostPort target{"127.0.0.1", server.port()};
    auto socket = TlsSocket::Create(target, *ParseAddress(target), *context_);
    EXPECT_TRUE(socket.ok()) << socket.status();
    while (true) {
      const auto events = (*socket)->Continue();
      EXPECT_TRUE(events.ok()) << events.status();
      if (!events.ok() || *events == 0) return *std::move(socket);
      WaitFor(**socket, *events);
    }
  }
  static void WaitFor(const TlsSocket& socket, short events) {
    pollfd entry{socket.fd(), events, 0};
    EXPECT_EQ(::poll(&entry, 1, -1), 1);
  }
  // A question of one byte, and its answer.
  absl::StatusOr<std::size_t> Ask(TlsSocket& socket, std::span<uint8_t> answer) {
    socket.Write(AsBytes("?"));
    absl::StatusOr<std::size_t> size = 0;
    while (size.ok() && *size == 0) {  // tickets come first
      WaitFor(socket, socket.events());
      size = socket.Read(answer);
    }
    return size;
  }

  std::shared_ptr<const TlsContext> context_ = Context();
};
INSTANTIATE_TEST_SUITE_P(, TlsSocketTest, ::testing::Values(TLS1_2_VERSION, TLS1_3_VERSION),
                         test::TlsVersionName);

// How often this thread has called read(2).
long Reads() {
  std::ifstream file("/proc/thread-self/io");
  for (std::string line; std::getline(file, line);) {
    absl::string_view rest = line;
    long count = 0;
    if (absl::ConsumePrefix(&rest, "syscr: ") && absl::SimpleAtoi(rest, &count)) return count;
  }
  ADD_FAILURE() << "the kernel does not tell";
  return 0;
}

TEST_P(TlsSocketTest, AnAnswerCostsOneRead) {
  TlsServer server(Options(), [](SSL* ssl) {
    char byte = 0;
    std::size_t size = 0;
    const std::string answer(2000, 'a');
    while (SSL_read_ex(ssl, &byte, 1, &size) == 1) {
      EXPECT_EQ(SSL_write_ex(ssl, answer.data(), answer.size(), &size), 1);
    }
  });
  const std::unique_ptr<TlsSocket> socket = Connect(server);
  std::array<uint8_t, 16384> answer{};
  ASSERT_THAT(Ask(*socket, answer), IsOkAndHolds(2000u));  // after which all tickets are read
  const long before = Reads();
  const long of_reads = Reads() - before;  // Reads reads, too
  ASSERT_THAT(Ask(*socket, answer), IsOkAndHolds(2000u));
  EXPECT_EQ(Reads() - before, 2 * of_reads + 1);
  EXPECT_FALSE(socket->more());
  EXPECT_EQ(socket->events(), POLLIN);
}

// A sanitizer has allocators of its own, and much memory that is not to be looked at.
#ifndef OKMS_SANITIZED
// Bytes that are nowhere unless somebody writes them.
uint8_t SecretByte(std::size_t i) { return static_cast<uint8_t>((i * 167 + 91) ^ (i >> 3)); }
constexpr std::size_t kSecretSize = 512;

bool IsSecret(std::span<const uint8_t> bytes) {
  for (std::size_t i = 0; i < kSecretSize; ++i) {
    if (bytes[i] != SecretByte(i)) return false;
  }
  return true;
}

// How often the bytes are in this process's writable memory.
int Secrets() {
  int count = 0;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    unsigned long begin = 0;
    unsigned long end = 0;
    char access[5] = "";
    if (std::sscanf(line.c_str(), "%lx-%lx %4s", &begin, &end, access) != 3) continue;
    if (std::string(access) != "rw-p") continue;
    const std::span memory(reinterpret_cast<const uint8_t*>(begin), end - begin);
    for (std::size_t at = 0; at + kSecretSize <= memory.size(); ++at) {
      if (memory[at] == SecretByte(0) && IsSecret(memory.subspan(at, kSecretSize))) ++count;
    }
  }
  return count;
}

// Not at the beginning of what is freed: that is written over by who looks for it.
constexpr std::size_t kSecretAt = 14'000;
constexpr std::size_t kAnswerSize = 15'000;

TEST_P(TlsSocketTest, NothingThatWasReadIsLeftBehind) {
  std::counting_semaphore<> wiped(0);  // the server's own
  TlsServer server(Options(), [&](SSL* ssl) {
    char byte = 0;
    std::size_t size = 0;
    while (SSL_read_ex(ssl, &byte, 1, &size) == 1) {
      std::array<uint8_t, kAnswerSize> answer{};
      for (std::size_t i = 0; i < kSecretSize; ++i) answer[kSecretAt + i] = SecretByte(i);
      EXPECT_EQ(SSL_write_ex(ssl, answer.data(), answer.size(), &size), 1);
      OPENSSL_cleanse(answer.data(), answer.size());
      wiped.release();
    }
  });
  const std::unique_ptr<TlsSocket> socket = Connect(server);
  std::array<uint8_t, 16384> answer{};
  for (int i = 0; i < 2; ++i) {
    ASSERT_THAT(Ask(*socket, answer), IsOkAndHolds(kAnswerSize));
    EXPECT_TRUE(IsSecret(std::span(answer).subspan(kSecretAt)));
    wiped.acquire();
    EXPECT_EQ(Secrets(), 1) << "in our own buffer";
    OPENSSL_cleanse(answer.data(), answer.size());
    EXPECT_EQ(Secrets(), 0);
  }
}

TEST_P(TlsSocketTest, NothingThatWasWrittenIsLeftBehind) {
  constexpr std::size_t kMuch = 16 << 20;
  std::promise<void> kept;
  std::promise<void> wiped;  // the server's own
  std::promise<void> gone;
  TlsServer server(Options(), [&](SSL* ssl) {
    SSL_set_options(ssl, SSL_OP_CLEANSE_PLAINTEXT);  // it is the same process
    kept.get_future().wait();
    std::array<uint8_t, 16384> buffer{};
    std::size_t size = 0;
    std::size_t left = kMuch;
    while (left > 0 && SSL_read_ex(ssl, buffer.data(), buffer.size(), &size) == 1) left -= size;
    OPENSSL_cleanse(buffer.data(), buffer.size());
    wiped.set_value();
    gone.get_future().wait();
  });
  const std::unique_ptr<TlsSocket> socket = Connect(server);
  {
    WipedBytes much(kMuch);
    for (std::size_t i = 0; i < kSecretSize; ++i)
      much[much.size() - kSecretSize + i] = SecretByte(i);
    socket->Write(much);
  }
  EXPECT_EQ(socket->events(), POLLOUT);
  EXPECT_EQ(Secrets(), 1) << "what is not written yet is kept";
  kept.set_value();
  std::array<uint8_t, 1> nothing{};
  while (socket->events() == POLLOUT) {
    WaitFor(*socket, POLLOUT);
    ASSERT_THAT(socket->Read(nothing), IsOkAndHolds(0u));
  }
  wiped.get_future().wait();
  EXPECT_EQ(Secrets(), 0);
  gone.set_value();
}
#endif

}  // namespace
}  // namespace okms

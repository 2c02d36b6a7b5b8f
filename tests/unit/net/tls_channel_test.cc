// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "net/tls_channel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <ctime>
#include <future>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "support/status_is.h"
#include "unit/net/tls_client.h"
#include "unit/net/tls_server.h"

namespace okms {
namespace {

using test::Echo;
using test::IsOk;
using test::IsOkAndHolds;
using test::StatusIs;
using test::Talk;
using test::TlsServer;
using test::TlsTest;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using Code = absl::StatusCode;

void Tell(SSL* ssl, const std::string& text) {
  std::size_t written = 0;
  EXPECT_EQ(SSL_write_ex(ssl, text.data(), text.size(), &written), 1);
}

class TlsChannelTest : public test::TlsVersionTest {
 protected:
  // Until the loop has come past everything that was there before. Twice: the first time it may be
  // at what the kernel had told before that was there.
  void Settle() {
    IoLoop& loop = client_of_test_->loop();
    for (int i = 0; i < 2; ++i) {
      std::promise<void> done;
      IoLoop::Timer timer;
      loop.RunInTurn([&] { timer = loop.At(Clock::now(), [&] { done.set_value(); }); });
      done.get_future().wait();
      loop.RunInTurn([&] { timer.Stop(); });
    }
  }
};
INSTANTIATE_TEST_SUITE_P(, TlsChannelTest, ::testing::Values(TLS1_2_VERSION, TLS1_3_VERSION),
                         test::TlsVersionName);

TEST_P(TlsChannelTest, CarriesBytesBothWays) {
  std::string version;
  TlsServer server(Options(), [&](SSL* ssl) {
    version = SSL_get_version(ssl);
    Echo(ssl);
  });
  {
    const auto talk = Dial(server);
    ASSERT_THAT(talk, IsOk());
    EXPECT_THAT((*talk)->Ask("hello"), IsOkAndHolds("hello"));
    const std::string long_text(100'000, 'x');
    EXPECT_THAT((*talk)->Ask(long_text), IsOkAndHolds(long_text));
  }
  server.Join();
  EXPECT_EQ(server.client(), "client one");
  EXPECT_EQ(version, GetParam() == TLS1_2_VERSION ? "TLSv1.2" : "TLSv1.3");
}

// With TLS 1.3, tickets make the socket readable: they are no bytes for the listener.
TEST_P(TlsChannelTest, IdleChannelIsQuiet) {
  std::promise<void> tickets_sent;
  TlsServer server(Options(), [&](SSL* ssl) {
    tickets_sent.set_value();
    Echo(ssl);
  });
  const auto talk = Dial(server);
  ASSERT_THAT(talk, IsOk());
  tickets_sent.get_future().wait();
  Settle();
  EXPECT_TRUE((*talk)->IsQuiet());
  EXPECT_THAT((*talk)->Ask("still there"), IsOkAndHolds("still there"));
  EXPECT_TRUE((*talk)->IsQuiet());
}

TEST_P(TlsChannelTest, BytesThatNobodyAskedForAreTold) {
  TlsServer server(Options(), [](SSL* ssl) {
    Tell(ssl, "late");
    Echo(ssl);
  });
  const auto talk = Dial(server);
  ASSERT_THAT(talk, IsOk());
  EXPECT_THAT((*talk)->Receive(4), IsOkAndHolds("late"));
}

TEST_P(TlsChannelTest, ManyRecordsAreAllTold) {
  std::string all;
  for (int i = 0; i < 3000; ++i) absl::StrAppend(&all, i, "/");
  TlsServer server(Options(), [&](SSL* ssl) {
    for (std::size_t begin = 0; begin < all.size(); begin += 7) Tell(ssl, all.substr(begin, 7));
    Echo(ssl);
  });
  const auto talk = Dial(server);
  ASSERT_THAT(talk, IsOk());
  EXPECT_THAT((*talk)->Receive(all.size()), IsOkAndHolds(all));
}

TEST_P(TlsChannelTest, PeerThatClosesIsUnavailable) {
  for (const bool in_order : {true, false}) {
    TlsServer server(Options(), [&](SSL* ssl) {
      char byte = 0;
      std::size_t size = 0;
      SSL_read_ex(ssl, &byte, 1, &size);  // no unread byte is left: the end is a FIN, not a reset
      if (in_order) SSL_shutdown(ssl);
    });
    const auto talk = Dial(server);
    ASSERT_THAT(talk, IsOk());
    EXPECT_THAT((*talk)->Ask("x"),
                StatusIs(Code::kUnavailable,
                         absl::StrCat("127.0.0.1:", server.port(), ": read: closed by the KMS")));
  }
}

TEST_P(TlsChannelTest, PeerThatClosesAnIdleChannelIsTold) {
  TlsServer server(Options(), [](SSL* ssl) { SSL_shutdown(ssl); });
  const auto talk = Dial(server);
  ASSERT_THAT(talk, IsOk());
  EXPECT_THAT((*talk)->WaitUntilClosed(), StatusIs(Code::kUnavailable, HasSubstr("closed by")));
  (*talk)->Send("to nobody");
  Settle();  // and no other end is told
}

// Whatever came before the end, in one read(2) with it, comes first.
TEST_P(TlsChannelTest, LastWordsAreTold) {
  const std::string words(50'000, 'w');
  TlsServer server(Options(), [&](SSL* ssl) {
    Tell(ssl, words);
    SSL_shutdown(ssl);
  });
  const auto talk = Dial(server);
  ASSERT_THAT(talk, IsOk());
  server.Join();
  EXPECT_THAT((*talk)->Receive(words.size()), IsOkAndHolds(words));
  EXPECT_THAT((*talk)->WaitUntilClosed(), StatusIs(Code::kUnavailable, HasSubstr("closed by")));
}

// Both the words and the end come with one read(2), after which the socket has nothing to tell.
TEST_P(TlsChannelTest, WhatCameBeforeAnybodyListenedIsTold) {
  std::promise<void> told;
  std::promise<void> gone;
  TlsServer server(Options(), [&](SSL* ssl) {
    Tell(ssl, "early");
    SSL_shutdown(ssl);
    told.set_value();
    gone.get_future().wait();
  });
  test::TlsClient& client = Client(server.port());
  std::unique_ptr<Channel> channel;
  std::promise<void> opened;
  std::unique_ptr<Opening> opening;
  client.loop().RunInTurn([&] {
    opening = client.connector().Open(test::Later(),
                                      [&](absl::StatusOr<std::unique_ptr<Channel>> opened_channel) {
                                        ASSERT_THAT(opened_channel, IsOk());
                                        channel = *std::move(opened_channel);
                                        opened.set_value();
                                      });
  });
  opened.get_future().wait();
  told.get_future().wait();
  std::unique_ptr<Talk> talk;
  client.loop().RunInTurn(
      [&] { talk = std::make_unique<Talk>(client.loop(), std::move(channel)); });
  EXPECT_THAT(talk->Receive(5), IsOkAndHolds("early"));
  EXPECT_THAT(talk->WaitUntilClosed(), StatusIs(Code::kUnavailable, HasSubstr("closed by")));
  gone.set_value();
}

// What the connection does not take is written as it takes it, and in order.
TEST_P(TlsChannelTest, ASlowReaderGetsAllOfIt) {
  std::string first;
  for (int i = 0; i < 1'000'000; ++i) absl::StrAppend(&first, i, "/");
  const std::string second = "and the rest";
  std::promise<void> sent;
  std::string received;
  TlsServer server(Options(), [&](SSL* ssl) {
    sent.get_future().wait();
    char buffer[16384];
    std::size_t size = 0;
    while (received.size() < first.size() + second.size() &&
           SSL_read_ex(ssl, buffer, sizeof buffer, &size) == 1) {
      received.append(buffer, size);
    }
    Tell(ssl, "all");
  });
  const auto talk = Dial(server);
  ASSERT_THAT(talk, IsOk());
  (*talk)->Send(first);  // more than the buffers of two sockets hold
  (*talk)->Send(second);
  sent.set_value();
  EXPECT_THAT((*talk)->Receive(3), IsOkAndHolds("all"));
  EXPECT_TRUE(received == first + second);
}

TEST_P(TlsChannelTest, GoesWhileMuchIsToBeWritten) {
  std::promise<void> gone;
  TlsServer server(Options(), [&](SSL*) { gone.get_future().wait(); });
  {
    const auto talk = Dial(server);
    ASSERT_THAT(talk, IsOk());
    (*talk)->Send(std::string(16 << 20, 'x'));
  }
  gone.set_value();
}

TEST_P(TlsChannelTest, APeerThatIsGoneEndsWhatIsToBeWritten) {
  std::promise<void> sent;
  TlsServer server(Options(), [&](SSL*) { sent.get_future().wait(); });
  const auto talk = Dial(server);
  ASSERT_THAT(talk, IsOk());
  (*talk)->Send(std::string(8 << 20, 'x'));
  sent.set_value();
  EXPECT_THAT((*talk)->WaitUntilClosed(),
              StatusIs(Code::kUnavailable, AnyOf(HasSubstr("write: Connection reset by peer"),
                                                 HasSubstr("write: Broken pipe"),
                                                 HasSubstr("write: Connection timed out"))));
}

// Ends the channel from within what is told of it.
class Leaver : public Channel::Listener {
 public:
  explicit Leaver(std::unique_ptr<Channel> channel) : channel_(std::move(channel)) {
    channel_->SetListener(this);
    channel_->Send(AsBytes("x"));
  }
  std::future<std::string> left() { return left_.get_future(); }

 private:
  void Received(ByteView) override { Leave("received"); }
  void Closed(absl::Status) override { Leave("closed"); }
  void Leave(const char* when) {
    channel_.reset();
    left_.set_value(when);  // throws when it is called again
  }

  std::unique_ptr<Channel> channel_;
  std::promise<std::string> left_;
};

TEST_P(TlsChannelTest, MayGoWithinWhatIsTold) {
  for (const std::string when : {"received", "closed"}) {
    TlsServer server(Options(), [&](SSL* ssl) {
      char byte = 0;
      std::size_t size = 0;
      SSL_read_ex(ssl, &byte, 1, &size);
      if (when == "received") {
        for (int i = 0; i < 10 && SSL_write_ex(ssl, "y", 1, &size) == 1; ++i) {
        }
      }
      SSL_shutdown(ssl);
    });
    test::TlsClient& client = Client(server.port());
    std::promise<std::unique_ptr<Leaver>> opened;
    std::unique_ptr<Opening> opening;
    client.loop().RunInTurn([&] {
      opening = client.connector().Open(
          test::Later(), [&](absl::StatusOr<std::unique_ptr<Channel>> channel) {
            ASSERT_THAT(channel, IsOk());
            opened.set_value(std::make_unique<Leaver>(*std::move(channel)));
            opening.reset();
          });
    });
    const std::unique_ptr<Leaver> leaver = opened.get_future().get();
    EXPECT_EQ(leaver->left().get(), when);
    server.Join();
    Settle();
  }
}

// Looks at what it was told of once that has returned.
class Looker : public Channel::Listener {
 public:
  explicit Looker(std::promise<ByteView>& told) : told_(told) {}

 private:
  void Received(ByteView bytes) override {
    EXPECT_EQ(AsText(bytes), "secret");
    told_.set_value(bytes);
  }
  void Closed(absl::Status) override {}

  std::promise<ByteView>& told_;
};

TEST_P(TlsChannelTest, WhatWasToldIsWiped) {
  TlsServer server(Options(), Echo);
  test::TlsClient& client = Client(server.port());
  std::promise<ByteView> told;
  Looker looker(told);
  std::unique_ptr<Channel> channel;
  std::unique_ptr<Opening> opening;
  client.loop().RunInTurn([&] {
    opening = client.connector().Open(test::Later(),
                                      [&](absl::StatusOr<std::unique_ptr<Channel>> opened) {
                                        ASSERT_THAT(opened, IsOk());
                                        channel = *std::move(opened);
                                        channel->SetListener(&looker);
                                        channel->Send(AsBytes("secret"));
                                      });
  });
  const ByteView bytes = told.get_future().get();
  client.loop().RunInTurn([&] {
    EXPECT_THAT(bytes, ::testing::Each(0));
    channel.reset();
    opening.reset();
  });
}

class ShortLivedTest : public TlsTest {};

TEST_F(ShortLivedTest, IsNotFreshOnceOurCertificateHasEnded) {
  const std::time_t begin = std::time(nullptr);
  client_ = *pki_.Issue("short", {.common_name = "client one", .valid_until = 3});
  TlsServer server(Options(), Echo);
  const auto talk = Dial(server);
  ASSERT_THAT(talk, IsOk());
  bool fresh = true;
  while (fresh) {
    client_of_test_->loop().RunInTurn([&] { fresh = (*talk)->channel().IsFresh(); });
  }
  EXPECT_GE(std::time(nullptr), begin + 3);
}

class KeyUpdateTest : public TlsTest {
 protected:
  test::TlsServerOptions Options() const {
    test::TlsServerOptions options = TlsTest::Options();
    options.min_version = TLS1_3_VERSION;
    return options;
  }
  static void Ask(SSL* ssl) {
    EXPECT_EQ(SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED), 1);
    EXPECT_EQ(SSL_do_handshake(ssl), 1);
  }
};

TEST_F(KeyUpdateTest, IsAnsweredWhileIdle) {
  std::promise<void> asked;
  TlsServer server(Options(), [&](SSL* ssl) {
    Ask(ssl);
    asked.set_value();
    Echo(ssl);
  });
  const auto talk = Dial(server);
  ASSERT_THAT(talk, IsOk());
  asked.get_future().wait();
  EXPECT_THAT((*talk)->Ask("with new keys"), IsOkAndHolds("with new keys"));
  EXPECT_TRUE((*talk)->IsQuiet());
}

// What is being written comes before its answer.
TEST_F(KeyUpdateTest, IsAnsweredWhileMuchIsWritten) {
  const std::string much(8 << 20, 'x');
  std::promise<void> sent;
  TlsServer server(Options(), [&](SSL* ssl) {
    sent.get_future().wait();
    for (int i = 0; i < 20; ++i) Ask(ssl);
    Tell(ssl, "go on");
    std::size_t all = 0;
    char buffer[16384];
    std::size_t size = 0;
    while (all < much.size() && SSL_read_ex(ssl, buffer, sizeof buffer, &size) == 1) all += size;
    EXPECT_EQ(all, much.size());
    Tell(ssl, "all");
    Echo(ssl);
  });
  const auto talk = Dial(server);
  ASSERT_THAT(talk, IsOk());
  (*talk)->Send(much);
  sent.set_value();
  EXPECT_THAT((*talk)->Receive(8), IsOkAndHolds("go onall"));
  EXPECT_THAT((*talk)->Ask("more"), IsOkAndHolds("more"));
}

}  // namespace
}  // namespace okms

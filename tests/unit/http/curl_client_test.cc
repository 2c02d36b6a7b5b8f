// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "http/curl_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <future>
#include <iterator>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/debug.h"
#include "base/log.h"
#include "base/status.h"
#include "http/libcurl.h"
#include "http/proxy.h"
#include "http/retrying_client.h"
#include "net/https_url.h"
#include "net/io_loop.h"
#include "support/count.h"
#include "support/dns_server.h"
#include "support/status_is.h"
#include "support/temp_dir.h"
#include "support/test_pki.h"
#include "unit/await.h"
#include "unit/environment.h"
#include "unit/http/fake_http.h"
#include "unit/http/https_server.h"
#include "version.h"

namespace okms::http {
namespace {

using namespace std::chrono_literals;
using okms::test::Answer;
using okms::test::DnsServer;
using okms::test::IsOk;
using okms::test::LoopbackSocket;
using okms::test::ScopedVariable;
using okms::test::StatusIs;
using test::ConnectProxy;
using test::HttpsConnection;
using test::HttpsServer;
using test::HttpText;
using test::JsonText;
using test::LoopbackServer;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;
using Code = absl::StatusCode;
using Result = absl::StatusOr<HttpResponse>;

constexpr std::size_t kMaxAnswer = std::size_t{1024} * 1024;
constexpr int kMaxConnections = 5;
constexpr int kMaxUnderWay = 1024;

Deadline Later() { return Clock::now() + 2min; }

// Answers every request with the same text.
HttpsServer::Session Always(std::string text) {
  return [text = std::move(text)](HttpsConnection& connection) {
    while (connection.Read()) {
      if (!connection.Write(text)) return;
    }
  };
}

class CurlClientTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { ::signal(SIGPIPE, SIG_IGN); }  // as the program does

  CurlClientTest()
      : pki_(*okms::test::TestPki::Create(directory_.path())),
        client_(*pki_.Issue("client", {.common_name = "client one"})),
        server_(*pki_.Issue("server", {.common_name = "server",
                                       .names = {"DNS:localhost", "DNS:kms.test", "IP:127.0.0.1"},
                                       .for_server = true})) {
    for (const char* name :
         {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"}) {
      no_proxies_.push_back(std::make_unique<ScopedVariable>(name, std::nullopt));
    }
  }

  okms::test::TlsServerOptions Options() const {
    return {.identity = server_, .client_ca = pki_.ca()};
  }
  std::unique_ptr<CurlClient> NewClient(HttpsUrl base, const std::string& ca = {},
                                        const std::string& name_servers = {}) {
    auto tls = TlsContext::Create({{"--client-cert", client_.certificate},
                                   {"--client-key", client_.key},
                                   {"--ca", ca.empty() ? pki_.ca() : ca}});
    EXPECT_THAT(tls, IsOk());
    EXPECT_THAT(LoadLibCurl(), IsOk());  // as main does, for ProxyFor
    auto proxy = ProxyFor(base.server);
    auto client = CurlClient::Create(loop(), *std::move(tls), std::move(base), std::move(proxy),
                                     kMaxConnections, traffic_, name_servers);
    EXPECT_THAT(client, IsOk());
    return *std::move(client);
  }
  std::unique_ptr<CurlClient> NewClient(const std::string& host, uint16_t port,
                                        const std::string& ca = {},
                                        const std::string& name_servers = {}) {
    const auto base = ParseHttpsUrl(absl::StrCat("https://", HostPort{host, port}.ToString()));
    EXPECT_THAT(base, IsOk());
    return NewClient(*base, ca, name_servers);
  }
  std::unique_ptr<CurlClient> NewClient(const HttpsServer& server) {
    return NewClient("127.0.0.1", server.port());
  }
  // One that asks `names` only.
  std::unique_ptr<CurlClient> NewClient(const std::string& host, uint16_t port,
                                        const DnsServer& names) {
    return NewClient(host, port, {}, names.HostPort());
  }
  // Of all clients; not before there is one.
  IoLoop& loop() {
    if (loop_ == nullptr) loop_ = *IoLoop::Create();
    return *loop_;
  }

  static std::shared_ptr<const HttpRequest> Request(const std::string& path = "/x") {
    return std::make_shared<const HttpRequest>(HttpRequest{path, {}});
  }
  static std::shared_ptr<const HttpRequest> Post(absl::string_view body) {
    return std::make_shared<const HttpRequest>(HttpRequest{"/x", test::Bytes(body)});
  }
  static std::shared_ptr<const HttpRequest> SecretPost() {
    return std::make_shared<const HttpRequest>(HttpRequest{"/x", test::Bytes("{}"), true});
  }
  static Result Send(HttpClient& client, std::shared_ptr<const HttpRequest> request,
                     Deadline deadline = Later(), Clock::time_point earliest = {}) {
    return okms::test::Await<HttpResponse>(
        [&](auto done) { client.Send(std::move(request), earliest, deadline, std::move(done)); });
  }
  // What comes of one GET to a server with that session.
  Result Get(HttpsServer::Session session, Deadline deadline = Later()) {
    HttpsServer server(Options(), std::move(session));
    return Send(*NewClient(server), Request(), deadline);
  }
  static std::string Body(const Result& result) {
    return result.ok() ? std::string(AsText(result->body)) : result.status().ToString();
  }

  std::vector<std::unique_ptr<ScopedVariable>> no_proxies_;
  okms::test::TempDir directory_;
  okms::test::TestPki pki_;
  okms::test::KeyPairFiles client_;
  okms::test::KeyPairFiles server_;
  Traffic traffic_;
  std::unique_ptr<IoLoop> loop_;
};

using CurlClientDeathTest = CurlClientTest;

// Nothing else need have used libcurl before.
TEST_F(CurlClientDeathTest, CreateLoadsLibcurlItself) {
  EXPECT_EXIT(
      {
        auto tls = TlsContext::Create({{"--client-cert", client_.certificate},
                                       {"--client-key", client_.key},
                                       {"--ca", pki_.ca()}});
        const auto loop = *IoLoop::Create();
        const bool good = CurlClient::Create(*loop, *std::move(tls), *ParseHttpsUrl("https://kms"),
                                             {}, 1, traffic_)
                              .ok();
        std::_Exit(good ? 0 : 1);
      },
      ::testing::ExitedWithCode(0), "");
}

class CurlClientTlsVersionTest : public CurlClientTest, public ::testing::WithParamInterface<int> {
 protected:
  okms::test::TlsServerOptions Options() const {
    okms::test::TlsServerOptions options = CurlClientTest::Options();
    options.min_version = options.max_version = GetParam();
    return options;
  }
};
INSTANTIATE_TEST_SUITE_P(, CurlClientTlsVersionTest,
                         ::testing::Values(TLS1_2_VERSION, TLS1_3_VERSION), [](const auto& test) {
                           return test.param == TLS1_2_VERSION ? "Tls12" : "Tls13";
                         });

// ---- Requests and answers

uint64_t Times(const Traffic::Step& step) {
  EXPECT_EQ(step.failed.value(), 0);
  return okms::test::Count(step.took.Stats());
}

std::string ExpectedHead(absl::string_view line, uint16_t port) {
  return absl::StrCat(line, " HTTP/1.1\r\nHost: 127.0.0.1:", port,
                      "\r\nUser-Agent: okms-k8s-encryption-provider/", kVersion, "\r\n");
}

// The handles of libcurl are used again: nothing of one request may show in the next.
TEST_F(CurlClientTest, RequestsAreExactlyThese) {
  std::vector<std::string> requests;
  HttpsServer server(Options(), [&](HttpsConnection& connection) {
    while (auto request = connection.Read()) {
      requests.push_back(*std::move(request));
      connection.Write(JsonText("{}"));
    }
  });
  {
    const auto client = NewClient(server);
    const std::string large(100'000, 'b');
    ASSERT_THAT(Send(*client, Request("/a?b=c%2B&d")), IsOk());
    ASSERT_THAT(Send(*client, Post(R"({"plaintext":"MDEy"})")), IsOk());
    ASSERT_THAT(Send(*client, Request("/")), IsOk());
    ASSERT_THAT(Send(*client, Post(large)), IsOk());
    ASSERT_THAT(Send(*client, Post(std::string("\0\n", 2))), IsOk());
    ASSERT_THAT(Send(*client, Request("/a?b=c%2B&d")), IsOk());
    EXPECT_EQ(traffic_.connections.value(), 1);
  }
  server.AwaitEnds(1);
  EXPECT_EQ(traffic_.connections.value(), 0);
  EXPECT_EQ(traffic_.dials.value(), 1);
  EXPECT_EQ(Times(traffic_.connect), 1);
  EXPECT_EQ(Times(traffic_.handshake), 1);
  EXPECT_EQ(Times(traffic_.request), 6);
  const std::string get = ExpectedHead("GET /a?b=c%2B&d", server.port()) + "\r\n";
  const std::string post =
      ExpectedHead("POST /x", server.port()) + "Content-Type: application/json\r\n";
  EXPECT_THAT(
      requests,
      ElementsAre(get, post + "Content-Length: 20\r\n\r\n{\"plaintext\":\"MDEy\"}",
                  ExpectedHead("GET /", server.port()) + "\r\n",
                  absl::StrCat(post, "Content-Length: 100000\r\n\r\n", std::string(100'000, 'b')),
                  post + "Content-Length: 2\r\n\r\n" + std::string("\0\n", 2), get));
}

TEST_F(CurlClientTest, PathFollowsThatOfTheBase) {
  std::vector<std::string> requests;
  HttpsServer server(Options(), [&](HttpsConnection& connection) {
    while (auto request = connection.Read()) {
      requests.push_back(*std::move(request));
      connection.Write(JsonText("{}"));
    }
  });
  {
    const auto base =
        ParseHttpsUrl(absl::StrCat("https://127.0.0.1:", server.port(), "/proxy/okms/"));
    ASSERT_THAT(Send(*NewClient(*base), Request("/a?b=c")), IsOk());
  }
  server.AwaitEnds(1);
  EXPECT_THAT(requests, ElementsAre(ExpectedHead("GET /proxy/okms/a?b=c", server.port()) + "\r\n"));
}

TEST_F(CurlClientTest, HeadersOfARequestAreNotThoseOfTheNext) {
  std::vector<std::string> requests;
  HttpsServer server(Options(), [&](HttpsConnection& connection) {
    while (auto request = connection.Read()) {
      requests.push_back(*std::move(request));
      connection.Write(JsonText("{}"));
    }
  });
  {
    const auto client = NewClient(server);
    HttpRequest request = *Post("{}");
    request.headers = {"X-Token: a:b c", "X-Other: d"};
    ASSERT_THAT(Send(*client, std::make_shared<const HttpRequest>(std::move(request))), IsOk());
    ASSERT_THAT(Send(*client, Request()), IsOk());
  }
  server.AwaitEnds(1);
  EXPECT_THAT(requests,
              ElementsAre(ExpectedHead("POST /x", server.port()) +
                              "Content-Type: application/json\r\nX-Token: a:b c\r\nX-Other: d\r\n"
                              "Content-Length: 2\r\n\r\n{}",
                          ExpectedHead("GET /x", server.port()) + "\r\n"));
}

TEST_P(CurlClientTlsVersionTest, PresentsItsCertificate) {
  std::string name;
  HttpsServer server(Options(), [&](HttpsConnection& connection) {
    connection.Read();
    name = connection.client();
    connection.Write(JsonText("{}"));
  });
  const auto result = Send(*NewClient(server), Request());
  ASSERT_THAT(result, IsOk());
  server.AwaitEnds(1);
  EXPECT_EQ(name, "client one");
}

TEST_F(CurlClientTest, FieldsOfTheAnswer) {
  const auto result = Get(Always(HttpText("503 Whatever",
                                          "content-type: application/json; charset=utf-8\r\n"
                                          "Content-Encoding: gzip\r\n"
                                          "RETRY-AFTER: 7\r\n",
                                          std::string("\x1f\x8b\0{}", 5))));
  ASSERT_THAT(result, IsOk());
  EXPECT_EQ(result->status, 503);
  EXPECT_EQ(result->content_type, "application/json; charset=utf-8");
  EXPECT_EQ(result->content_encoding, "gzip");
  EXPECT_EQ(result->location, "");
  EXPECT_EQ(result->retry_after, 7s);
  EXPECT_EQ(Body(result), std::string("\x1f\x8b\0{}", 5));  // not decoded
}

TEST_F(CurlClientTest, FieldsThatAreNotThere) {
  const auto result = Get(Always("HTTP/1.1 204 No Content\r\n\r\n"));
  ASSERT_THAT(result, IsOk());
  EXPECT_EQ(result->status, 204);
  EXPECT_EQ(result->content_type, "");
  EXPECT_EQ(result->content_encoding, "");
  EXPECT_EQ(result->location, "");
  EXPECT_EQ(result->retry_after, std::nullopt);
  EXPECT_THAT(result->body, IsEmpty());
}

TEST_F(CurlClientTest, NothingOfAnAnswerShowsInTheNext) {
  HttpsServer server(Options(), [](HttpsConnection& connection) {
    connection.Read();
    connection.Write(HttpText("302 Found",
                              "Content-Type: text/html\r\nContent-Encoding: gzip\r\n"
                              "Location: https://elsewhere/\r\nRetry-After: 7\r\n",
                              "a body"));
    connection.Read();
    connection.Write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    connection.AwaitClose();
  });
  const auto client = NewClient(server);
  const auto first = Send(*client, Request());
  ASSERT_THAT(first, IsOk());
  EXPECT_EQ(first->retry_after, 7s);
  const auto next = Send(*client, Request());
  ASSERT_THAT(next, IsOk());
  EXPECT_EQ(next->status, 200);
  EXPECT_EQ(next->content_type, "");
  EXPECT_EQ(next->content_encoding, "");
  EXPECT_EQ(next->location, "");
  EXPECT_EQ(next->retry_after, std::nullopt);
  EXPECT_THAT(next->body, IsEmpty());
}

TEST_F(CurlClientTest, WhatTheServersClockSays) {
  const auto date = [&](const std::string& text) {
    const auto result = Get(Always(HttpText("200 OK", "Date: " + text + "\r\n", "")));
    return result.ok() ? result->date : std::nullopt;
  };
  EXPECT_EQ(date("Tue, 14 Nov 2023 22:13:20 GMT"), 1700000000);
  EXPECT_EQ(date("Tue, 14 Nov 2023 22:13:20 GMT and more"), std::nullopt);
  EXPECT_EQ(date("yesterday"), std::nullopt);
}

TEST_F(CurlClientTest, RetryAfterAsADate) {
  const std::string date = absl::FormatTime("%a, %d %b %Y %H:%M:%S GMT",
                                            absl::Now() + absl::Hours(1), absl::UTCTimeZone());
  const auto result =
      Get(Always(HttpText("429 Too Many", absl::StrCat("Retry-After: ", date, "\r\n"), "")));
  ASSERT_THAT(result, IsOk());
  ASSERT_TRUE(result->retry_after.has_value());
  EXPECT_LE(*result->retry_after, 3600s);
  EXPECT_GT(*result->retry_after, 3500s);
}

TEST_F(CurlClientTest, RetryAfterThatSaysNothing) {
  for (const char* value : {"0", "-1", "soon", "", "Wed, 21 Oct 2015 07:28:00 GMT"}) {
    const auto result =
        Get(Always(HttpText("503 Later", absl::StrCat("Retry-After: ", value, "\r\n"), "")));
    ASSERT_THAT(result, IsOk()) << value;
    EXPECT_EQ(result->retry_after, std::nullopt) << value;
  }
}

TEST_F(CurlClientTest, RedirectIsNotFollowed) {
  std::atomic<int> requests = 0;
  HttpsServer server(Options(), [&](HttpsConnection& connection) {
    while (connection.Read()) {
      ++requests;
      connection.Write(HttpText("307 Elsewhere", "Location: /elsewhere?a=b\r\n", ""));
    }
  });
  const auto client = NewClient(server);
  for (const auto& request : {Request(), Post("{}")}) {
    const auto result = Send(*client, request);
    ASSERT_THAT(result, IsOk());
    EXPECT_EQ(result->status, 307);
    EXPECT_EQ(result->location,
              absl::StrCat("https://127.0.0.1:", server.port(), "/elsewhere?a=b"));
  }
  EXPECT_EQ(requests, 2);
}

TEST_F(CurlClientTest, BodyInChunks) {
  const auto result = Get(Always(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{\"\r\n4\r\na\":1\r\n1\r\n}\r\n"
      "0\r\n\r\n"));
  ASSERT_THAT(result, IsOk());
  EXPECT_EQ(Body(result), "{\"a\":1}");
}

TEST_F(CurlClientTest, BodyUpToTheLimit) {
  const auto result = Get(Always(JsonText(std::string(kMaxAnswer, 'x'))));
  ASSERT_THAT(result, IsOk());
  EXPECT_EQ(result->body.size(), kMaxAnswer);
}

TEST_F(CurlClientTest, BodyBeyondTheLimit) {
  for (const std::string& answer :
       {JsonText(std::string(kMaxAnswer + 1, 'x')),
        absl::StrCat("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n200000\r\n",
                     std::string(0x200000, 'x'), "\r\n0\r\n\r\n")}) {
    HttpsServer server(Options(), Always(answer));
    EXPECT_THAT(Send(*NewClient(server), Request()),
                StatusIs(Code::kDataLoss, absl::StrCat("127.0.0.1:", server.port(),
                                                       ": an answer of more than 1048576 bytes")));
  }
}

TEST_F(CurlClientTest, AnswerThatIsCutShort) {
  for (const char* text :
       {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", ""}) {
    for (const bool in_order : {true, false}) {
      HttpsServer server(Options(), [&](HttpsConnection& connection) {
        connection.Read();
        if (*text != '\0') connection.Write(text);
        if (!in_order) connection.Abort();
      });
      EXPECT_THAT(
          Send(*NewClient(server), Request()),
          StatusIs(Code::kUnavailable, StartsWith(absl::StrCat("127.0.0.1:", server.port(), ": "))))
          << text << in_order;
    }
  }
}

TEST_F(CurlClientTest, AnswerWithoutALengthEndsWithTheConnection) {
  EXPECT_EQ(Body(Get([](HttpsConnection& connection) {
              connection.Read();
              connection.Write("HTTP/1.1 200 OK\r\n\r\n{}");
            })),
            "{}");
}

TEST_F(CurlClientTest, AnswerThatIsNoHttp) {
  EXPECT_THAT(Get(Always("220 smtp.example ready\r\n\r\n")),
              StatusIs(Code::kUnavailable, Not(HasSubstr("smtp"))));
}

// ---- Connections

TEST_P(CurlClientTlsVersionTest, ConnectionIsKept) {
  HttpsServer server(Options(), Always(JsonText("{}")));
  const auto client = NewClient(server);
  for (int i = 0; i < 10; ++i) {
    ASSERT_EQ(Body(Send(*client, i % 2 == 0 ? Request() : Post("{}"))), "{}");
  }
  EXPECT_EQ(server.connections(), 1);
}

TEST_P(CurlClientTlsVersionTest, ConnectionThatTheServerClosedIsReplaced) {
  for (const bool in_order : {true, false}) {
    HttpsServer server(Options(), [&](HttpsConnection& connection) {
      connection.Read();
      connection.Write(JsonText("{}"));
      if (!in_order) connection.Abort();
    });
    const auto client = NewClient(server);
    for (int i = 1; i <= 4; ++i) {
      const auto request = i % 2 == 0 ? Request() : Post("{}");
      ASSERT_EQ(Body(Send(*client, request)), "{}") << i;
      server.AwaitEnds(i);
    }
    EXPECT_EQ(server.connections(), 4);
  }
}

// Servers that ask for certificates are known to break resumed handshakes off.
TEST_P(CurlClientTlsVersionTest, NoSessionIsResumed) {
  std::atomic<int> resumed = 0;
  HttpsServer server(Options(), [&](HttpsConnection& connection) {
    resumed += connection.resumed() ? 1 : 0;
    connection.Read();
    connection.Write(JsonText("{}"));
  });
  const auto client = NewClient(server);
  for (int i = 1; i <= 3; ++i) {
    ASSERT_EQ(Body(Send(*client, Request())), "{}");
    server.AwaitEnds(i);
  }
  EXPECT_EQ(server.connections(), 3);
  EXPECT_EQ(resumed, 0);
}

// The end and the request cross each other: nothing came back, so it is sent once more.
TEST_P(CurlClientTlsVersionTest, ConnectionThatDiesUnderARequestIsReplaced) {
  for (const bool post : {false, true}) {
    for (const bool in_order : {true, false}) {
      HttpsServer server(Options(), [&](HttpsConnection& connection) {
        connection.Read();
        connection.Write(JsonText(absl::StrCat(connection.number())));
        connection.Read();
        if (!in_order) connection.Abort();
      });
      const auto client = NewClient(server);
      ASSERT_EQ(Body(Send(*client, Request())), "1");
      EXPECT_EQ(Body(Send(*client, post ? Post("{\"a\":1}") : Request())), "2") << post << in_order;
    }
  }
}

TEST_F(CurlClientTest, CallsGoSideBySide) {
  std::mutex mutex;
  std::condition_variable all_there;
  int there = 0;
  HttpsServer server(Options(), [&](HttpsConnection& connection) {
    while (connection.Read()) {
      {
        std::unique_lock lock(mutex);
        ++there;
        all_there.notify_all();
        all_there.wait(lock, [&] { return there >= kMaxConnections; });
      }
      if (!connection.Write(JsonText("{}"))) return;
    }
  });
  const auto client = NewClient(server);
  std::vector<Answer<HttpResponse>> answers(4 * kMaxConnections);
  for (auto& answer : answers) {
    client->Send(Request(), {}, Later(), answer.Callback());
  }
  for (auto& answer : answers) EXPECT_EQ(Body(answer.Get()), "{}");
  EXPECT_EQ(server.connections(), kMaxConnections);
}

TEST_F(CurlClientTest, CallsOfManyThreads) {
  HttpsServer server(Options(), Always(JsonText("{}")));
  const auto client = NewClient(server);
  std::vector<std::thread> threads;
  std::atomic<int> good = 0;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 25; ++j) good += Body(Send(*client, Post("{}"))) == "{}";
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, 100);
}

TEST_F(CurlClientTest, AnswerMayBeFollowedByACallFromItsCallback) {
  HttpsServer server(Options(), Always(JsonText("{}")));
  const auto client = NewClient(server);
  Answer<HttpResponse> second;
  client->Send(Request(), {}, Later(), [&](Result first) {
    EXPECT_EQ(Body(first), "{}");
    client->Send(Request(), {}, Later(), second.Callback());
  });
  EXPECT_EQ(Body(second.Get()), "{}");
}

// ---- Threads

std::size_t Threads() {
  const std::filesystem::directory_iterator tasks("/proc/self/task");
  return static_cast<std::size_t>(std::distance(begin(tasks), end(tasks)));
}

// By the clock of a thread's CPU time, which stands still while the thread waits.
std::chrono::nanoseconds Now(clockid_t clock) {
  timespec now{};
  EXPECT_EQ(::clock_gettime(clock, &now), 0);
  return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

TEST_F(CurlClientTest, HasNoThreadOfItsOwn) {
  HttpsServer server(Options(), Always(JsonText("{}")));
  loop();
  const std::size_t before = Threads();
  const auto calls = NewClient(server);
  const auto checks = NewClient(server);
  ASSERT_EQ(Body(Send(*calls, Request())), "{}");
  ASSERT_EQ(Body(Send(*checks, Request())), "{}");
  EXPECT_EQ(Threads(), before + 2);  // the server has one for each connection
}

TEST_F(CurlClientTest, CallIsSentByWhoBringsIt) {
  std::promise<void>* come = nullptr;
  std::mutex mutex;
  std::condition_variable go;
  int answers = 1;  // that may be given
  HttpsServer server(Options(), [&](HttpsConnection& connection) {
    while (connection.Read()) {
      std::unique_lock lock(mutex);
      if (come != nullptr) std::exchange(come, nullptr)->set_value();
      go.wait(lock, [&] { return answers > 0; });
      --answers;
      connection.Write(JsonText("{}"));
    }
  });
  const auto client = NewClient(server);
  ASSERT_EQ(Body(Send(*client, Request())), "{}");
  std::promise<clockid_t> loops_clock;
  IoLoop::Timer timer;
  loop().RunInTurn([&] {
    timer = loop().At(Clock::now(), [&] {
      clockid_t clock = 0;
      EXPECT_EQ(::pthread_getcpuclockid(::pthread_self(), &clock), 0);
      loops_clock.set_value(clock);
    });
  });
  const clockid_t clock = loops_clock.get_future().get();
  loop().RunInTurn([&] { timer.Stop(); });
  // The loop may have something else to do just then: once is enough.
  std::chrono::nanoseconds before{-1};
  std::chrono::nanoseconds after{};
  for (const Deadline patience = Clock::now() + 1min; before != after;) {
    ASSERT_FALSE(Expired(patience));
    before = Now(clock);
    std::promise<void> came;
    {
      const std::lock_guard lock(mutex);
      come = &came;
    }
    Answer<HttpResponse> answer;
    client->Send(Request(), {}, Later(), answer.Callback());
    came.get_future().wait();
    after = Now(clock);
    {
      const std::lock_guard lock(mutex);
      ++answers;
      go.notify_all();
    }
    ASSERT_EQ(Body(answer.Get()), "{}");
  }
}

// ---- Time

TEST_F(CurlClientTest, SilentServerEndsWithTheDeadline) {
  HttpsServer server(Options(), [](HttpsConnection& connection) { connection.AwaitClose(); });
  const auto client = NewClient(server);
  for (int i = 0; i < 2; ++i) {
    const Deadline deadline = Clock::now() + 100ms;
    EXPECT_THAT(Send(*client, Request(), deadline),
                StatusIs(Code::kDeadlineExceeded,
                         absl::StrCat("127.0.0.1:", server.port(), ": no answer in time")));
    EXPECT_GE(Clock::now(), deadline - 10ms);  // libcurl counts in milliseconds
  }
  // Nobody waits on a connection that fell silent.
  server.AwaitEnds(server.connections());
}

TEST_F(CurlClientTest, ServerThatStopsInAnAnswerEndsWithTheDeadline) {
  EXPECT_THAT(Get(
                  [](HttpsConnection& connection) {
                    connection.Read();
                    connection.Write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{");
                    connection.AwaitClose();
                  },
                  Clock::now() + 100ms),
              StatusIs(Code::kDeadlineExceeded, HasSubstr(": no answer in time")));
}

TEST_F(CurlClientTest, ServerThatNeverShakesHandsEndsWithTheDeadline) {
  LoopbackSocket socket;
  socket.Listen();
  EXPECT_THAT(Send(*NewClient("127.0.0.1", socket.port()), Request(), Clock::now() + 100ms),
              StatusIs(Code::kDeadlineExceeded,
                       absl::StrCat("127.0.0.1:", socket.port(), ": no answer in time")));
}

TEST_F(CurlClientTest, SilentCallDoesNotHoldUpOthers) {
  HttpsServer server(Options(), [](HttpsConnection& connection) {
    while (const auto request = connection.Read()) {
      if (absl::StartsWith(*request, "GET /silent ")) return connection.AwaitClose();
      connection.Write(JsonText("{}"));
    }
  });
  const auto client = NewClient(server);
  Answer<HttpResponse> silent;
  const Deadline deadline = Clock::now() + 300ms;
  client->Send(Request("/silent"), {}, deadline, silent.Callback());
  EXPECT_EQ(Body(Send(*client, Request())), "{}");
  EXPECT_THAT(silent.Get(), StatusIs(Code::kDeadlineExceeded, ::testing::_));
}

// libcurl looks at those that wait for a connection only when one becomes free.
TEST_F(CurlClientTest, WhoWaitsForAConnectionEndsWithTheDeadlineToo) {
  HttpsServer server(Options(), [](HttpsConnection& connection) { connection.AwaitClose(); });
  auto client = NewClient(server);
  std::vector<Answer<HttpResponse>> silent(32);  // as many as there may be connections
  for (auto& call : silent) {
    client->Send(Request(), {}, Clock::now() + 1h, call.Callback());
  }
  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT(Send(*client, Request(), Clock::now() + 300ms),
                StatusIs(Code::kDeadlineExceeded,
                         absl::StrCat("127.0.0.1:", server.port(), ": no answer in time")));
  }
  client.reset();
  for (auto& call : silent) EXPECT_THAT(call.Get(), StatusIs(Code::kCancelled, ::testing::_));
}

TEST_F(CurlClientTest, PassedDeadlineSendsNothing) {
  HttpsServer server(Options(), Always(JsonText("{}")));
  EXPECT_THAT(Send(*NewClient(server), Request(), Clock::now() - 1ms),
              StatusIs(Code::kDeadlineExceeded,
                       absl::StrCat("127.0.0.1:", server.port(), ": no answer in time")));
  EXPECT_EQ(server.connections(), 0);
}

TEST_F(CurlClientTest, NothingIsSentBeforeItsTime) {
  std::atomic<Clock::time_point> came{};
  HttpsServer server(Options(), [&](HttpsConnection& connection) {
    while (const auto request = connection.Read()) {
      if (absl::StartsWith(*request, "GET /late ")) came = Clock::now();
      connection.Write(JsonText("{}"));
    }
  });
  const auto client = NewClient(server);
  const auto earliest = Clock::now() + 200ms;
  Answer<HttpResponse> late;
  client->Send(Request("/late"), earliest, Later(), late.Callback());
  // Others are not held up by it.
  EXPECT_EQ(Body(Send(*client, Request())), "{}");
  EXPECT_EQ(came.load(), Clock::time_point());
  EXPECT_EQ(Body(late.Get()), "{}");
  EXPECT_GE(came.load(), earliest);
}

TEST_F(CurlClientTest, TimeThatIsPastIsNow) {
  HttpsServer server(Options(), Always(JsonText("{}")));
  EXPECT_EQ(Body(Send(*NewClient(server), Request(), Later(), Clock::now() - 1h)), "{}");
}

// ---- Trust

TEST_P(CurlClientTlsVersionTest, UnknownCaIsRefused) {
  const okms::test::TempDir elsewhere;
  const auto other = okms::test::TestPki::Create(elsewhere.path(), "Other CA");
  ASSERT_THAT(other, IsOk());
  std::atomic<bool> served = false;
  HttpsServer server(Options(), [&](HttpsConnection& connection) {
    if (connection.Read()) served = true;
  });
  const auto client = NewClient("127.0.0.1", server.port(), other->ca());
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(Send(*client, Post("{}")),
                StatusIs(Code::kUnauthenticated,
                         AllOf(StartsWith(absl::StrCat("127.0.0.1:", server.port(),
                                                       ": the KMS's certificate is refused: ")),
                               HasSubstr("self-signed certificate in certificate chain"),
                               HasSubstr(": the issuer is CN=Test CA; check --ca"))));
  }
  EXPECT_FALSE(served);
}

struct Identity {
  const char* name;
  const char* host;
  std::vector<std::string> names;
};

class CurlClientNameTest : public CurlClientTest, public ::testing::WithParamInterface<Identity> {};
INSTANTIATE_TEST_SUITE_P(
    , CurlClientNameTest,
    ::testing::Values(Identity{"OtherName", "localhost", {"DNS:other.example"}},
                      Identity{"OtherAddress", "127.0.0.1", {"IP:127.0.0.2"}},
                      Identity{"AddressAsDnsName", "127.0.0.1", {"DNS:127.0.0.1"}},
                      Identity{"NameInTheCommonNameOnly", "localhost", {}},
                      Identity{"AddressInTheCommonNameOnly", "127.0.0.1", {}},
                      Identity{"NameAsAddressEntry", "localhost", {"IP:127.0.0.1"}}),
    [](const auto& test) { return std::string(test.param.name); });

TEST_P(CurlClientNameTest, CertificateForAnotherIsRefused) {
  okms::test::TlsServerOptions options = Options();
  options.identity = *pki_.Issue(
      "wrong", {.common_name = GetParam().host, .names = GetParam().names, .for_server = true});
  std::atomic<bool> served = false;
  HttpsServer server(options, [&](HttpsConnection& connection) {
    if (connection.Read()) served = true;
  });
  EXPECT_THAT(Send(*NewClient(GetParam().host, server.port()), Request()),
              StatusIs(Code::kUnauthenticated,
                       AllOf(StartsWith(absl::StrCat(GetParam().host, ":", server.port(),
                                                     ": the KMS's certificate is refused: ")),
                             HasSubstr("mismatch"))));
  EXPECT_FALSE(served);
}

// As over KMIP (PeerCertificateTest), whatever libcurl would say.
TEST_F(CurlClientTest, IntermediateCaIsAnAnchorAndAnyPurposeWillDo) {
  const okms::test::TempDir elsewhere;
  auto intermediate = pki_.NewIntermediate(elsewhere.path(), "Intermediate CA");
  ASSERT_THAT(intermediate, IsOk());
  okms::test::TlsServerOptions options = Options();
  options.identity = *intermediate->Issue(
      "server",
      {.common_name = "server", .names = {"IP:127.0.0.1"}, .usage = "anyExtendedKeyUsage"});
  HttpsServer server(options, Always(JsonText("{}")));
  const auto client = NewClient("127.0.0.1", server.port(), intermediate->ca());
  EXPECT_EQ(Body(Send(*client, Request())), "{}");
}

TEST_F(CurlClientTest, CertificateWithoutANameSaysSo) {
  okms::test::TlsServerOptions options = Options();
  options.identity = *pki_.Issue("bare", {.common_name = "127.0.0.1", .for_server = true});
  HttpsServer server(options, Always(JsonText("{}")));
  EXPECT_THAT(Send(*NewClient(server), Request()),
              StatusIs(Code::kUnauthenticated, HasSubstr("it has no alternative name")));
}

TEST_F(CurlClientTest, ServerByName) {
  HttpsServer server(Options(), Always(JsonText("{}")));
  EXPECT_EQ(Body(Send(*NewClient("localhost", server.port()), Request())), "{}");
}

TEST_F(CurlClientTest, ExpiredServerIsRefused) {
  okms::test::TlsServerOptions options = Options();
  options.identity = *pki_.Issue("expired", {.common_name = "server",
                                             .names = {"IP:127.0.0.1"},
                                             .for_server = true,
                                             .valid_from = -7200,
                                             .valid_until = -3600});
  HttpsServer server(options, Always(JsonText("{}")));
  EXPECT_THAT(Send(*NewClient(server), Request()),
              StatusIs(Code::kUnauthenticated, HasSubstr("certificate has expired")));
}

TEST_F(CurlClientTest, ServerBelowTls12IsRefused) {
  okms::test::TlsServerOptions options = Options();
  options.min_version = options.max_version = TLS1_1_VERSION;
  options.cipher_list = "ALL:@SECLEVEL=0";
  HttpsServer server(options, Always(JsonText("{}")));
  EXPECT_THAT(Send(*NewClient(server), Request()), StatusIs(Code::kUnavailable, ::testing::_));
}

TEST_P(CurlClientTlsVersionTest, ServerThatRefusesOurCertificateSaysSo) {
  const okms::test::TempDir elsewhere;
  const auto other = okms::test::TestPki::Create(elsewhere.path(), "Other CA");
  ASSERT_THAT(other, IsOk());
  okms::test::TlsServerOptions options = Options();
  options.client_ca = other->ca();
  HttpsServer server(options, Always(JsonText("{}")));
  const auto client = NewClient(server);
  std::vector<std::string> messages;
  for (const auto& request : {Request(), Post("{}")}) {
    const auto result = Send(*client, request);
    EXPECT_THAT(result,
                StatusIs(Code::kUnauthenticated,
                         AllOf(StartsWith(absl::StrCat("127.0.0.1:", server.port(),
                                                       ": the KMS refuses our certificate (")),
                               HasSubstr("alert unknown ca"), HasSubstr("; check --client-cert"))));
    messages.emplace_back(result.status().message());
  }
  EXPECT_EQ(messages[0], messages[1]);
}

TEST_P(CurlClientTlsVersionTest, ServerThatFindsOurCertificateExpiredSaysSo) {
  // We may still take it for valid: by the server's clock it is later.
  okms::test::TlsServerOptions options = Options();
  client_ = *pki_.Issue("short", {.common_name = "client", .valid_until = 3600});
  options.verify_at = ::time(nullptr) + 7200;
  HttpsServer server(options, Always(JsonText("{}")));
  EXPECT_THAT(Send(*NewClient(server), Request()),
              StatusIs(Code::kUnauthenticated, HasSubstr("the KMS refuses our certificate (")));
}

// What is sent to it by then is answered with a reset, before libcurl has read why.
TEST_F(CurlClientTest, ServerThatRefusesOurCertificateAndHasGoneSaysSo) {
  const okms::test::TempDir elsewhere;
  const auto other = okms::test::TestPki::Create(elsewhere.path(), "Other CA");
  ASSERT_THAT(other, IsOk());
  okms::test::TlsServerOptions options = Options();
  options.client_ca = other->ca();
  const okms::SslCtxPtr context = okms::test::NewServerContext(options);
  LoopbackServer server([&](int fd) {
    const okms::SslPtr ssl(SSL_new(context.get()));
    SSL_set_fd(ssl.get(), fd);
    EXPECT_NE(SSL_accept(ssl.get()), 1);
    ::shutdown(fd, SHUT_RDWR);
  });
  const Logger log(/*debug=*/true, [&](const Event& event) {
    if (absl::StrContains(event.text, ": connected, ")) server.AwaitEnds(1);
  });
  const auto client = NewClient("127.0.0.1", server.port());
  const DebugTo debug(log);
  EXPECT_THAT(Send(*client, Post(std::string(1'000'000, ' '))),
              StatusIs(Code::kUnauthenticated,
                       HasSubstr("the KMS refuses our certificate (tlsv1 alert unknown ca)")));
}

// ---- Servers that are none

TEST_F(CurlClientTest, RefusedConnectionHasTheSameMessageEachTime) {
  LoopbackSocket socket;
  const auto client = NewClient("127.0.0.1", socket.port());
  for (int i = 0; i < 3; ++i) {
    const auto result = Send(*client, Request());
    EXPECT_THAT(result,
                StatusIs(Code::kUnavailable, absl::StrCat("127.0.0.1:", socket.port(),
                                                          ": connect: Connection refused")));
    EXPECT_EQ(Message(result.status()), result.status().message());
  }
  EXPECT_EQ(traffic_.connect.failed.value(), 3);
  EXPECT_EQ(traffic_.request.failed.value(), 0);
}

TEST_F(CurlClientTest, NameThatDoesNotResolve) {
  const auto client = NewClient("does-not-exist.invalid", 443);
  EXPECT_THAT(Send(*client, Request()),
              StatusIs(Code::kUnavailable, StartsWith("cannot resolve does-not-exist.invalid: ")));
}

TEST_F(CurlClientTest, ServerWithoutTlsHasTheSameMessageEachTime) {
  LoopbackServer server([](int fd) {
    char buffer[4096];
    [[maybe_unused]] const auto read = ::recv(fd, buffer, sizeof buffer, 0);
    constexpr absl::string_view kAnswer = "HTTP/1.1 400 Bad Request\r\n\r\n";
    EXPECT_EQ(::send(fd, kAnswer.data(), kAnswer.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(kAnswer.size()));
  });
  const auto client = NewClient("127.0.0.1", server.port());
  std::vector<std::string> messages;
  for (int i = 0; i < 2; ++i) {
    const auto result = Send(*client, Request());
    EXPECT_THAT(result, StatusIs(Code::kUnavailable,
                                 StartsWith(absl::StrCat("127.0.0.1:", server.port(), ": "))));
    EXPECT_THAT(Message(result.status()), HasSubstr("wrong version number"));
    messages.emplace_back(result.status().message());
  }
  EXPECT_EQ(messages[0], messages[1]);
}

TEST_F(CurlClientTest, ServerThatClosesAtOnceHasTheSameMessageEachTime) {
  LoopbackServer server([](int) {});
  const auto client = NewClient("127.0.0.1", server.port());
  std::vector<std::string> messages;
  for (int i = 0; i < 2; ++i) {
    const auto result = Send(*client, Request());
    EXPECT_THAT(result, StatusIs(Code::kUnavailable,
                                 StartsWith(absl::StrCat("127.0.0.1:", server.port(), ": "))));
    messages.emplace_back(result.status().message());
  }
  EXPECT_EQ(messages[0], messages[1]);
}

TEST_F(CurlClientTest, OnlyHttps) {
  HttpsServer server(Options(), Always(JsonText("{}")));
  for (const std::string& url :
       {absl::StrCat("http://127.0.0.1:", server.port()), std::string("file://"),
        absl::StrCat("ftp://127.0.0.1:", server.port())}) {
    const auto client = NewClient({url, {"127.0.0.1", server.port()}});
    EXPECT_FALSE(Send(*client, Request("/etc/hostname")).ok()) << url;
  }
  EXPECT_EQ(server.connections(), 0);
}

// ---- Names

TEST_F(CurlClientTest, NameIsResolved) {
  DnsServer names;
  names.Set("kms.test", {"127.0.0.1"});
  HttpsServer server(Options(), Always(JsonText("{}")));
  const auto client = NewClient("kms.test", server.port(), names);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(Body(Send(*client, Request())), "{}");
  }
  EXPECT_EQ(names.questions(), 2);  // once for each family
}

// It is for DNS; the URL has none (ParseHttpsUrl).
TEST_F(CurlClientTest, DotAtTheEndOfTheName) {
  DnsServer names;
  names.Set("kms.test", {"127.0.0.1"});
  HttpsServer server(Options(), Always(JsonText("{}")));
  const auto client = NewClient("kms.test.", server.port(), names);
  EXPECT_THAT(Send(*client, Request()), IsOk());
}

TEST_F(CurlClientTest, AllAddressesAreTried) {
  DnsServer names;
  names.Set("kms.test", {"127.0.0.9", "::1", "127.0.0.1"});
  HttpsServer server(Options(), Always(JsonText("{}")));
  const auto client = NewClient("kms.test", server.port(), names);
  EXPECT_EQ(Body(Send(*client, Request())), "{}");
}

TEST_F(CurlClientTest, CallsWaitForTheName) {
  DnsServer silent;
  silent.SetMode(DnsServer::Mode::kSilent);
  DnsServer names;
  names.Set("kms.test", {"127.0.0.1"});
  HttpsServer server(Options(), Always(JsonText("{}")));
  const auto client = NewClient("kms.test", server.port(), {},
                                absl::StrCat(silent.HostPort(), ",", names.HostPort()));
  std::vector<Answer<HttpResponse>> answers(5);
  for (auto& answer : answers) {
    client->Send(Request(), {}, Later(), answer.Callback());
  }
  for (auto& answer : answers) EXPECT_EQ(Body(answer.Get()), "{}");
}

TEST_F(CurlClientTest, SilentNameServerEndsWithTheDeadline) {
  DnsServer names;
  names.SetMode(DnsServer::Mode::kSilent);
  const auto client = NewClient("kms.test", 443, names);
  const Deadline deadline = Clock::now() + 100ms;
  EXPECT_THAT(Send(*client, Request(), deadline),
              StatusIs(Code::kDeadlineExceeded,
                       "cannot resolve kms.test: the name service did not answer in time"));
  EXPECT_GE(Clock::now(), deadline);
  EXPECT_LT(Clock::now(), deadline + 800ms);
}

TEST_F(CurlClientTest, NameServerThatIsAwayIsAskedAgain) {
  DnsServer names;
  names.SetMode(DnsServer::Mode::kFail);
  names.Set("kms.test", {"127.0.0.1"});
  HttpsServer server(Options(), Always(JsonText("{}")));
  const auto client = NewClient("kms.test", server.port(), names);
  EXPECT_THAT(Send(*client, Request()),
              StatusIs(Code::kUnavailable, StartsWith("cannot resolve kms.test: ")));
  names.SetMode(DnsServer::Mode::kAnswer);
  EXPECT_EQ(Body(Send(*client, Request())), "{}");
}

TEST_F(CurlClientTest, CallsUnderWayEndWithTheClientThatWaitsForAName) {
  DnsServer names;
  names.SetMode(DnsServer::Mode::kSilent);
  auto client = NewClient("kms.test", 443, names);
  Answer<HttpResponse> answer;
  client->Send(Request(), {}, Later(), answer.Callback());
  while (names.questions() == 0) std::this_thread::sleep_for(1ms);
  client.reset();
  EXPECT_THAT(answer.Get(), StatusIs(Code::kCancelled, "the plugin is stopping"));
}

TEST_F(CurlClientTest, OtherAddressIsLearntWhenOneLeadsNowhere) {
  DnsServer names;
  names.Set("kms.test", {"127.0.0.9"});
  HttpsServer server(Options(), Always(JsonText("{}")));
  const auto client = NewClient("kms.test", server.port(), names);
  EXPECT_THAT(Send(*client, Request()),
              StatusIs(Code::kUnavailable, HasSubstr("connect: Connection refused")));
  names.Set("kms.test", {"127.0.0.1"});
  const Deadline patience = Clock::now() + 20s;  // far less than what an answer counts for
  while (Body(Send(*client, Request())) != "{}") {
    ASSERT_FALSE(Expired(patience));
    std::this_thread::sleep_for(20ms);
  }
}

TEST_F(CurlClientTest, LastGoodAnswerServesWhenTheNameServerIsGone) {
  auto names = std::make_unique<DnsServer>();
  names->Set("kms.test", {"127.0.0.1"});
  HttpsServer server(Options(), [](HttpsConnection& connection) {
    connection.Read();
    connection.Write(JsonText("{}"));  // and a new connection each time
  });
  const auto client = NewClient("kms.test", server.port(), *names);
  EXPECT_EQ(Body(Send(*client, Request())), "{}");
  names.reset();
  for (int i = 2; i < 4; ++i) {
    server.AwaitEnds(i - 1);
    EXPECT_EQ(Body(Send(*client, Request())), "{}");
  }
  EXPECT_EQ(server.connections(), 3);
}

// It would be getaddrinfo(3), which a filter of system calls answers with a signal.
TEST_F(CurlClientTest, LibcurlResolvesNothingByItself) {
  HttpsServer server(Options(), Always(JsonText("{}")));
  const auto client = NewClient({absl::StrCat("https://localhost:", server.port()),  //
                                 {"127.0.0.1", server.port()}});
  EXPECT_THAT(Send(*client, Request()), StatusIs(Code::kUnavailable, HasSubstr("cannot resolve")));
  EXPECT_EQ(server.connections(), 0);
}

TEST_F(CurlClientTest, Ipv6AddressNeedsNoResolving) {
  const auto client = NewClient("::1", 1);
  EXPECT_THAT(Send(*client, Request()),
              StatusIs(Code::kUnavailable, StartsWith("[::1]:1: connect: ")));
}

TEST_F(CurlClientTest, NameOfAnIpv6AddressOnly) {
  DnsServer names;
  names.Set("kms.test", {"::1"});
  EXPECT_THAT(Send(*NewClient("kms.test", 1, names), Request()),
              StatusIs(Code::kUnavailable, StartsWith("kms.test:1: connect: ")));
}

TEST_F(CurlClientTest, WaitingCostsNothing) {
  DnsServer names;
  names.SetMode(DnsServer::Mode::kSilent);
  HttpsServer server(Options(), Always(JsonText("{}")));
  const auto idle = NewClient(server);
  ASSERT_EQ(Body(Send(*idle, SecretPost())), "{}");
  const auto asking = NewClient("kms.test", 443, names);
  Answer<HttpResponse> answer;
  asking->Send(Request(), {}, Clock::now() + 1s, answer.Callback());
  const std::clock_t before = std::clock();
  EXPECT_THAT(answer.Get(), StatusIs(Code::kDeadlineExceeded, ::testing::_));
  EXPECT_LT(std::clock() - before, CLOCKS_PER_SEC / 2);  // of both threads, in one second
}

// ---- Secrets

TEST_F(CurlClientTest, ConnectionThatCarriedASecretIsClosed) {
  HttpsServer server(Options(), Always(JsonText("{}")));
  const auto client = NewClient(server);
  for (int i = 1; i <= 3; ++i) {
    ASSERT_EQ(Body(Send(*client, SecretPost())), "{}");
    const auto end = Clock::now();
    server.AwaitEnds(i);
    EXPECT_LT(Clock::now() - end, 1s);
    EXPECT_EQ(server.connections(), i);
  }
}

TEST_F(CurlClientTest, ConnectionIsKeptBetweenTheCallsOfABurst) {
  HttpsServer server(Options(), Always(JsonText("{}")));
  const auto client = NewClient(server);
  for (const Deadline end = Clock::now() + 1s; !Expired(end);) {
    ASSERT_EQ(Body(Send(*client, SecretPost())), "{}");
    std::this_thread::sleep_for(50ms);
  }
  EXPECT_EQ(server.connections(), 1);
}

TEST_F(CurlClientTest, ConnectionIsNotClosedUnderACall) {
  std::promise<void> go;
  HttpsServer server(Options(), [&](HttpsConnection& connection) {
    connection.Read();
    connection.Write(JsonText("{}"));
    connection.Read();
    go.get_future().wait();
    connection.Write(JsonText("{}"));
    connection.AwaitClose();
  });
  const auto client = NewClient(server);
  ASSERT_EQ(Body(Send(*client, SecretPost())), "{}");
  Answer<HttpResponse> slow;
  client->Send(Request(), {}, Later(), slow.Callback());
  std::this_thread::sleep_for(800ms);
  go.set_value();
  EXPECT_EQ(Body(slow.Get()), "{}");
  EXPECT_EQ(server.connections(), 1);
  server.AwaitEnds(1);
}

TEST_F(CurlClientTest, ConnectionWithoutSecretsIsKept) {
  HttpsServer server(Options(), Always(JsonText("{}")));
  const auto client = NewClient(server);
  for (int i = 0; i < 2; ++i) {
    ASSERT_EQ(Body(Send(*client, Post("{}"))), "{}");
    std::this_thread::sleep_for(800ms);
  }
  EXPECT_EQ(server.connections(), 1);
}

// ---- Limits and the end

TEST_F(CurlClientTest, CallsUnderWayEndWithTheClient) {
  constexpr int kCalls = 3;
  std::promise<void> all_there;
  std::atomic<int> there = 0;
  HttpsServer server(Options(), [&](HttpsConnection& connection) {
    connection.Read();
    if (++there == kCalls) all_there.set_value();
    connection.AwaitClose();
  });
  auto client = NewClient(server);
  std::vector<Answer<HttpResponse>> answers(kCalls + 1);
  for (int i = 0; i < kCalls; ++i) {
    client->Send(Request(), {}, Later(), answers[static_cast<std::size_t>(i)].Callback());
  }
  // One that waits for its time.
  client->Send(Request(), Later(), Later() + 1h, answers.back().Callback());
  all_there.get_future().wait();
  client.reset();
  for (auto& answer : answers) {
    EXPECT_THAT(answer.Get(), StatusIs(Code::kCancelled, "the plugin is stopping"));
  }
}

// What another thread, which has the turn, has not come to yet.
TEST_F(CurlClientTest, CallsThatHaveNotBegunEndWithTheClient) {
  HttpsServer server(Options(), Always(JsonText("{}")));
  auto client = NewClient(server);
  std::promise<void> taken;
  std::promise<void> let_go;
  std::thread busy([&] {
    loop().RunInTurn([&] {
      taken.set_value();
      let_go.get_future().wait();
    });
  });
  taken.get_future().wait();
  std::vector<Answer<HttpResponse>> answers(100);
  for (auto& answer : answers) client->Send(Request(), {}, Later(), answer.Callback());
  let_go.set_value();
  client.reset();
  busy.join();
  loop_.reset();
  for (auto& answer : answers) {
    const Result result = answer.Get();
    if (!result.ok()) {
      EXPECT_THAT(result, StatusIs(Code::kCancelled, "the plugin is stopping"));
    }
  }
}

TEST_F(CurlClientTest, CallFromTheLastCallbacksIsCancelled) {
  HttpsServer server(Options(), [](HttpsConnection& connection) { connection.AwaitClose(); });
  auto client = NewClient(server);
  Answer<HttpResponse> second;
  client->Send(Request(), {}, Later(), [&, http = client.get()](Result) {
    http->Send(Request(), {}, Later(), second.Callback());
  });
  client.reset();
  EXPECT_THAT(second.Get(), StatusIs(Code::kCancelled, "the plugin is stopping"));
}

TEST_F(CurlClientTest, CallsUnderWayEndWithTheClientInItsHandshake) {
  okms::test::LoopbackSocket socket;
  socket.Listen();
  auto client = NewClient("127.0.0.1", socket.port());
  Answer<HttpResponse> answer;
  client->Send(Request(), {}, Later(), answer.Callback());
  const UniqueFd connection = socket.Accept();
  char byte = 0;
  ASSERT_EQ(::recv(connection.get(), &byte, 1, 0), 1);  // of the ClientHello
  client.reset();
  EXPECT_THAT(answer.Get(), StatusIs(Code::kCancelled, "the plugin is stopping"));
}

TEST_F(CurlClientTest, CallsUnderWayEndWithTheClientThatTriesAgain) {
  std::promise<void> there;
  HttpsServer server(Options(), [&](HttpsConnection& connection) {
    connection.Read();
    there.set_value();
    connection.AwaitClose();
  });
  auto client = std::make_unique<RetryingClient>(NewClient(server), traffic_);
  Answer<HttpResponse> answer;
  client->Send(Request(), {}, Later(), answer.Callback());
  there.get_future().wait();
  client.reset();
  EXPECT_THAT(answer.Get(), StatusIs(Code::kCancelled, "the plugin is stopping"));
}

TEST_F(CurlClientTest, TriesAgainUntilTheServerIsBack) {
  HttpsServer server(Options(), [&](HttpsConnection& connection) {
    for (const char* answer : {"503 Later", "429 Busy", "200 OK"}) {
      connection.Read();
      connection.Write(HttpText(answer, "", "{}"));
    }
    connection.AwaitClose();
  });
  RetryingClient client(NewClient(server), traffic_);
  const auto result = Send(client, Post("{}"));
  ASSERT_THAT(result, IsOk());
  EXPECT_EQ(result->status, 200);
  EXPECT_EQ(server.connections(), 1);
}

TEST_F(CurlClientTest, MoreCallsThanTheLimitAreRefusedAtOnce) {
  HttpsServer server(Options(), Always(JsonText("{}")));
  auto client = NewClient(server);
  std::vector<Answer<HttpResponse>> waiting(kMaxUnderWay - 1);
  for (auto& answer : waiting) {
    client->Send(Request(), Later(), Later() + 1h, answer.Callback());
  }
  // One is left; its end makes room again.
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Body(Send(*client, Request())), "{}");

  Answer<HttpResponse> last;
  client->Send(Request(), Later(), Later() + 1h, last.Callback());
  std::thread::id refused_on;
  absl::Status refused;
  client->Send(Request(), {}, Later(), [&](Result result) {
    refused_on = std::this_thread::get_id();
    refused = result.status();
  });
  EXPECT_EQ(refused_on, std::this_thread::get_id());
  EXPECT_THAT(refused,
              StatusIs(Code::kResourceExhausted, "1024 calls to the KMS are under way already"));
  client.reset();
  for (auto& answer : waiting) EXPECT_THAT(answer.Get(), StatusIs(Code::kCancelled, ::testing::_));
  EXPECT_THAT(last.Get(), StatusIs(Code::kCancelled, ::testing::_));
}

TEST_F(CurlClientTest, SeveralClientsAtOnce) {
  HttpsServer server(Options(), Always(JsonText("{}")));
  const auto one = NewClient(server);
  {
    const auto other = NewClient(server);
    EXPECT_EQ(Body(Send(*other, Request())), "{}");
  }
  EXPECT_EQ(Body(Send(*one, Request())), "{}");
}

// ---- The environment

TEST_F(CurlClientTest, ProxyIsUsedAndSeesOnlyTheName) {
  HttpsServer server(Options(), Always(JsonText("{}")));
  const ConnectProxy proxy(server.port());
  for (const char* name : {"HTTPS_PROXY", "https_proxy"}) {
    const ScopedVariable variable(name, absl::StrCat("http://127.0.0.1:", proxy.port()));
    // A name that only the proxy can make sense of; the certificate must be for it all the same.
    const auto client = NewClient("kms.test", 8443);
    EXPECT_EQ(Body(Send(*client, Request())), "{}") << name;
    EXPECT_EQ(Body(Send(*client, Request())), "{}") << name;
  }
  EXPECT_THAT(proxy.requests(),
              ElementsAre("CONNECT kms.test:8443 HTTP/1.1", "CONNECT kms.test:8443 HTTP/1.1"));
}

TEST_F(CurlClientTest, CertificateIsCheckedThroughAProxyToo) {
  HttpsServer server(Options(), Always(JsonText("{}")));
  const ConnectProxy proxy(server.port());
  const ScopedVariable variable("HTTPS_PROXY", absl::StrCat("http://127.0.0.1:", proxy.port()));
  EXPECT_THAT(Send(*NewClient("other.test", 443), Request()),
              StatusIs(Code::kUnauthenticated,
                       StartsWith("other.test:443: the KMS's certificate is refused: ")));
}

TEST_F(CurlClientTest, NoProxyIsHonoured) {
  DnsServer names;
  names.Set("kms.test", {"127.0.0.1"});
  HttpsServer server(Options(), Always(JsonText("{}")));
  LoopbackSocket nobody;
  const ScopedVariable variable("HTTPS_PROXY", absl::StrCat("http://127.0.0.1:", nobody.port()));
  const auto send = [&] { return Send(*NewClient("kms.test", server.port(), names), Request()); };
  EXPECT_THAT(send(), StatusIs(Code::kUnavailable, ::testing::_));
  EXPECT_EQ(server.connections(), 0);
  const ScopedVariable no_proxy("NO_PROXY", absl::StrCat("example.org, *.test:", server.port()));
  EXPECT_EQ(Body(send()), "{}");
}

TEST_F(CurlClientTest, LoopbackGoesByNoProxy) {
  HttpsServer server(Options(), Always(JsonText("{}")));
  LoopbackSocket nobody;
  const ScopedVariable variable("HTTPS_PROXY", absl::StrCat("http://127.0.0.1:", nobody.port()));
  EXPECT_EQ(Body(Send(*NewClient(server), Request())), "{}");
}

// What ProxyFor has decided is not decided anew.
TEST_F(CurlClientTest, LibcurlLooksAtNoVariables) {
  HttpsServer server(Options(), Always(JsonText("{}")));
  const ConnectProxy proxy(server.port());
  const ScopedVariable variable("HTTPS_PROXY", absl::StrCat("http://127.0.0.1:", proxy.port()));
  const auto client = NewClient("kms.test", 443);
  const ScopedVariable no_proxy("no_proxy", "*");
  EXPECT_EQ(Body(Send(*client, Request())), "{}");
  EXPECT_THAT(proxy.requests(), SizeIs(1));
}

TEST_F(CurlClientTest, ProxyThatDoesNotResolve) {
  const ScopedVariable variable("HTTPS_PROXY", "http://does-not-exist.invalid:3128");
  EXPECT_THAT(Send(*NewClient("kms.test", 443), Request()),
              StatusIs(Code::kUnavailable, "cannot resolve the proxy's name; check HTTPS_PROXY"));
}

TEST_F(CurlClientTest, ReasonWhyTheProxyDoesNotResolve) {
  const DnsServer names;
  const ScopedVariable variable("HTTPS_PROXY", "http://user:secret@proxy.test:3128");
  const auto result = Send(*NewClient("kms.test", 443, names), Request());
  EXPECT_EQ(Message(result.status()),
            "cannot resolve the proxy's name; check HTTPS_PROXY (cannot resolve proxy.test: Domain "
            "name not found)");
}

TEST_F(CurlClientTest, OnlyTheProxysNameIsResolved) {
  DnsServer names;
  names.Set("proxy.test", {"127.0.0.1"});
  HttpsServer server(Options(), Always(JsonText("{}")));
  const ConnectProxy proxy(server.port());
  const ScopedVariable variable("HTTPS_PROXY", absl::StrCat("http://proxy.test:", proxy.port()));
  EXPECT_EQ(Body(Send(*NewClient("kms.test", 443, names), Request())), "{}");
  EXPECT_EQ(names.questions(), 2);
}

TEST_F(CurlClientTest, NameThatOnlyTheProxyKnowsIsNoErrorBesideNoProxy) {
  DnsServer names;
  names.Set("proxy.test", {"127.0.0.1"});
  HttpsServer server(Options(), Always(JsonText("{}")));
  const ConnectProxy proxy(server.port());
  const ScopedVariable no_proxy("NO_PROXY", "example.org");
  for (const char* host : {"proxy.test", "127.0.0.1"}) {
    const ScopedVariable variable("HTTPS_PROXY", absl::StrCat("http://", host, ":", proxy.port()));
    EXPECT_EQ(Body(Send(*NewClient("kms.test", 443, names), Request())), "{}");
  }
  EXPECT_EQ(names.questions(), 2);  // for the proxy
}

TEST_F(CurlClientTest, ProxyThatDoesNotResolveIsNoErrorForWhoIsExcepted) {
  DnsServer names;
  names.Set("kms.test", {"127.0.0.1"});
  HttpsServer server(Options(), Always(JsonText("{}")));
  const ScopedVariable variable("HTTPS_PROXY", "http://proxy.test:3128");
  const ScopedVariable no_proxy("NO_PROXY", ".test");
  EXPECT_EQ(Body(Send(*NewClient("kms.test", server.port(), names), Request())), "{}");
}

TEST_F(CurlClientTest, NeitherNameResolves) {
  const DnsServer names;
  const ScopedVariable variable("HTTPS_PROXY", "http://proxy.test:3128");
  {
    const ScopedVariable no_proxy("NO_PROXY", ".test");
    EXPECT_THAT(Send(*NewClient("kms.test", 443, names), Request()),
                StatusIs(Code::kUnavailable, "cannot resolve kms.test: Domain name not found"));
  }
  const ScopedVariable no_proxy("NO_PROXY", "example.org");
  EXPECT_THAT(Send(*NewClient("kms.test", 443, names), Request()),
              StatusIs(Code::kUnavailable, "cannot resolve the proxy's name; check HTTPS_PROXY"));
}

TEST_F(CurlClientTest, ProxyByIpv6Address) {
  const ScopedVariable variable("HTTPS_PROXY", "http://[::1]:1");
  EXPECT_THAT(Send(*NewClient("kms.test", 443), Request()),
              StatusIs(Code::kUnavailable, StartsWith("kms.test:443: connect: ")));
}

TEST_F(CurlClientTest, PasswordOfTheProxyStaysOutOfMessages) {
  LoopbackServer proxy([](int fd) {
    char buffer[4096];
    [[maybe_unused]] const auto read = ::recv(fd, buffer, sizeof buffer, 0);
    constexpr absl::string_view kAnswer =
        "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n";
    ::send(fd, kAnswer.data(), kAnswer.size(), MSG_NOSIGNAL);
  });
  const ScopedVariable variable("HTTPS_PROXY",
                                absl::StrCat("http://user:secret@127.0.0.1:", proxy.port()));
  const auto result = Send(*NewClient("kms.test", 443), Request());
  EXPECT_THAT(result, StatusIs(Code::kUnavailable, StartsWith("kms.test:443: ")));
  EXPECT_THAT(Message(result.status()), Not(HasSubstr("secret")));
}

// In a process of its own, as each test is by ctest: libcurl looks at it only once.
TEST_F(CurlClientTest, KeysOfSessionsAreNotWrittenToAFile) {
  const std::string path = directory_ / "keys.log";
  const ScopedVariable variable("SSLKEYLOGFILE", path);
  HttpsServer server(Options(), Always(JsonText("{}")));
  ASSERT_EQ(Body(Send(*NewClient(server), Request())), "{}");
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(CurlClientTest, CasOfTheEnvironmentAreNotTrusted) {
  const okms::test::TempDir elsewhere;
  const auto other = okms::test::TestPki::Create(elsewhere.path(), "Other CA");
  ASSERT_THAT(other, IsOk());
  const ScopedVariable file("SSL_CERT_FILE", pki_.ca());
  const ScopedVariable bundle("CURL_CA_BUNDLE", pki_.ca());
  HttpsServer server(Options(), Always(JsonText("{}")));
  EXPECT_THAT(Send(*NewClient("127.0.0.1", server.port(), other->ca()), Request()),
              StatusIs(Code::kUnauthenticated, ::testing::_));
}

}  // namespace
}  // namespace okms::http

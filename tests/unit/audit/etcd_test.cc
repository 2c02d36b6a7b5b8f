// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "audit/etcd.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "audit/survey.h"
#include "support/temp_dir.h"
#include "unit/audit/fake_etcd.h"
#include "unit/audit/values.h"

namespace okms::audit {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

struct Read {
  absl::Status status;
  Extent extent;
  std::vector<std::string> live;
  std::vector<std::string> old;
};

EtcdOptions Options(const std::string& endpoints) {
  EtcdOptions options;
  options.endpoints = endpoints;
  return options;
}

Read ReadAll(const EtcdOptions& options, const Scope& scope = {}) {
  Read read;
  const auto store = OpenEtcd(options);
  read.status = store.status();
  if (!store.ok()) return read;
  const auto extent = (*store)->Open(scope);
  read.status = extent.status();
  if (!extent.ok()) return read;
  read.extent = *extent;
  read.status = (*store)->Read([&](const StoredValue& value) {
    auto& to = value.standing == Standing::kLive ? read.live : read.old;
    to.push_back(absl::StrCat(value.key, "=", value.value.substr(0, 10)));
    return absl::OkStatus();
  });
  return read;
}

void Fill(FakeEtcd& etcd, int values, std::size_t size = 10) {
  for (int i = 0; i < values; ++i) {
    etcd.values[absl::StrCat("/registry/s/", 100'000 + i)] = std::string(size, 'v');
  }
}

TEST(EtcdTest, ReadsInPagesAtOneRevision) {
  FakeEtcd etcd;
  Fill(etcd, 1234);
  etcd.values["/other"] = "";
  std::vector<std::int64_t> revisions;
  etcd.on_range = [&](const etcdserverpb::RangeRequest& request) {
    revisions.push_back(request.revision());
    ++etcd.revision;  // somebody writes
    return grpc::Status::OK;
  };
  const Read read = ReadAll(Options(etcd.url()));
  ASSERT_TRUE(read.status.ok()) << read.status;
  EXPECT_THAT(read.live, SizeIs(1234));
  EXPECT_EQ(read.extent.revision, 101);
  EXPECT_THAT(revisions, ElementsAre(0, 101, 101));
  EXPECT_EQ(read.extent.line, absl::StrCat("etcd at ", etcd.url()));
}

TEST(EtcdTest, PagesShrinkToWhatFits) {
  FakeEtcd etcd;
  Fill(etcd, 300, 20'000);
  EtcdOptions options = Options(etcd.url());
  options.most_bytes = 500'000;
  const Read read = ReadAll(options);
  ASSERT_TRUE(read.status.ok()) << read.status;
  EXPECT_THAT(read.live, SizeIs(300));

  options.most_bytes = 10'000;
  EXPECT_EQ(ReadAll(options).status.code(), absl::StatusCode::kResourceExhausted);
}

// Of one that would never end.
TEST(EtcdTest, TakesKeysOnlyInTheirOrder) {
  FakeEtcd etcd;
  Fill(etcd, 3);
  const std::function<void(etcdserverpb::RangeResponse&)> wrongs[] = {
      [](etcdserverpb::RangeResponse& page) {  // the first page, again and again
        page.mutable_kvs(0)->set_key("/registry/s/100000");
        page.set_more(true);
      },
      [](etcdserverpb::RangeResponse& page) { page.mutable_kvs(0)->set_key("/other"); },
      [](etcdserverpb::RangeResponse& page) { page.mutable_kvs(1)->set_key(page.kvs(0).key()); },
      [](etcdserverpb::RangeResponse& page) { page.mutable_kvs()->SwapElements(1, 2); }};
  for (const auto& wrong : wrongs) {
    etcd.ranges = 0;
    etcd.on_range = [&](const etcdserverpb::RangeRequest& request) {
      if (etcd.ranges > 10) return grpc::Status(grpc::StatusCode::ABORTED, "without an end");
      if (request.key() > "/registry/s/100000") etcd.values["/registry/s/200000"] = "v";
      return grpc::Status::OK;
    };
    etcd.on_page = wrong;
    const Read read = ReadAll(Options(etcd.url()));
    EXPECT_EQ(read.status.code(), absl::StatusCode::kDataLoss) << read.status;
    EXPECT_THAT(std::string(read.status.message()),
                AllOf(HasSubstr(etcd.url()), HasSubstr("not in their order")));
  }
}

TEST(EtcdTest, GoesOnAtTheNextEndpoint) {
  FakeEtcd first;
  FakeEtcd second;
  Fill(first, 1500);
  Fill(second, 1500);
  // Dies after the first page.
  first.on_range = [&](const etcdserverpb::RangeRequest& request) {
    return request.key() > "/registry/s/1" ? grpc::Status(grpc::StatusCode::UNAVAILABLE, "gone")
                                           : grpc::Status::OK;
  };
  second.on_range = [&](const etcdserverpb::RangeRequest& request) {
    EXPECT_EQ(request.revision(), 100);
    return grpc::Status::OK;
  };
  const Read read = ReadAll(Options(absl::StrCat(first.url(), ",", second.url())));
  ASSERT_TRUE(read.status.ok()) << read.status;
  EXPECT_THAT(read.live, SizeIs(1500));
  EXPECT_GT(second.ranges, 0);
}

TEST(EtcdTest, DoesNotWaitForTheSilent) {
  FakeEtcd second;
  Fill(second, 3);
  FakeEtcd first;
  absl::Notification over;
  first.on_range = [&](const etcdserverpb::RangeRequest&) {
    over.WaitForNotification();
    return grpc::Status::OK;
  };
  EtcdOptions options = Options(absl::StrCat(first.url(), ",", second.url()));
  options.patience = std::chrono::milliseconds(300);
  const Read read = ReadAll(options);
  over.Notify();
  ASSERT_TRUE(read.status.ok()) << read.status;
  EXPECT_THAT(read.live, SizeIs(3));
}

TEST(EtcdTest, SaysInOneLineWhatIsWrong) {
  FakeEtcd etcd;
  const struct {
    grpc::Status said;
    absl::StatusCode code;
    absl::string_view words;
  } cases[] = {
      {{grpc::StatusCode::OUT_OF_RANGE, "etcdserver: mvcc: required revision has been compacted"},
       absl::StatusCode::kOutOfRange,
       "compacted"},
      {{grpc::StatusCode::PERMISSION_DENIED, "etcdserver: permission denied"},
       absl::StatusCode::kPermissionDenied,
       "grant it a role with read"},
      {{grpc::StatusCode::INVALID_ARGUMENT, "etcdserver: user name is empty"},
       absl::StatusCode::kUnauthenticated,
       "it wants a user"},
      {{grpc::StatusCode::UNAUTHENTICATED, "etcdserver: invalid auth token"},
       absl::StatusCode::kUnauthenticated,
       "it wants a user"},
      {{grpc::StatusCode::UNAVAILABLE, "etcdserver: no leader"},
       absl::StatusCode::kUnavailable,
       "no leader: see"},
      {{grpc::StatusCode::UNIMPLEMENTED, "unknown service"},
       absl::StatusCode::kUnimplemented,
       "no etcd"},
      {{grpc::StatusCode::INTERNAL, "a\nb"}, absl::StatusCode::kInternal, "no etcd (a?b)"},
  };
  for (const auto& [said, code, words] : cases) {
    etcd.on_range = [&answer = said](const etcdserverpb::RangeRequest&) { return answer; };
    const Read read = ReadAll(Options(etcd.url()));
    EXPECT_EQ(read.status.code(), code) << read.status;
    EXPECT_THAT(std::string(read.status.message()), HasSubstr(std::string(words)));
    EXPECT_THAT(std::string(read.status.message()), HasSubstr(etcd.url()));
    EXPECT_EQ(read.status.message().find('\n'), absl::string_view::npos);
  }
  etcd.Stop();
  EXPECT_TRUE(absl::IsUnavailable(ReadAll(Options(etcd.url())).status));
}

TEST(EtcdTest, RefusesWrongOptions) {
  test::TempDir folder;
  const auto wrong = [](EtcdOptions options) { return OpenEtcd(options).status(); };
  for (const std::string endpoints :
       {"", "127.0.0.1:2379", "ftp://a:1", "http://", "http://a:1,", "https://u:p@a:1"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(wrong(Options(endpoints)))) << endpoints;
  }
  EtcdOptions options = Options("https://localhost:1");
  options.cert = folder.path() + "/cert.pem";
  EXPECT_TRUE(absl::IsInvalidArgument(wrong(options)));
  options.key = folder.path() + "/key.pem";
  EXPECT_THAT(std::string(wrong(options).message()), HasSubstr("--etcd-cert"));
  EtcdOptions ca = Options("https://localhost:1");
  ca.ca = folder.path() + "/no-ca.pem";
  EXPECT_THAT(std::string(wrong(ca).message()), HasSubstr("--etcd-cacert"));
  ca.endpoints = "http://localhost:1";
  EXPECT_TRUE(absl::IsInvalidArgument(wrong(ca)));
}

// ---- History

constexpr std::int64_t kCompacted = 50;

etcdserverpb::WatchResponse CompactedAway() {
  etcdserverpb::WatchResponse response;
  response.set_canceled(true);
  response.set_compact_revision(kCompacted);
  return response;
}

// One that replaced `old`; empty: it replaced nothing.
mvccpb::Event Put(std::int64_t revision, const std::string& key, const std::string& old) {
  mvccpb::Event event;
  event.mutable_kv()->set_key(key);
  event.mutable_kv()->set_mod_revision(revision);
  event.mutable_kv()->set_version(old.empty() ? 1 : 2);
  if (old.empty()) return event;
  event.mutable_prev_kv()->set_key(key);
  event.mutable_prev_kv()->set_value(old);
  return event;
}

etcdserverpb::WatchResponse Events(std::vector<mvccpb::Event> events) {
  etcdserverpb::WatchResponse response;
  response.mutable_header()->set_revision(200);
  for (mvccpb::Event& event : events) *response.add_events() = std::move(event);
  return response;
}

class EtcdHistoryTest : public testing::Test {
 protected:
  EtcdHistoryTest() {
    scope.history = true;
    Fill(etcd, 1);
    etcd.on_watch = [this](std::int64_t from) {
      if (from <= kCompacted) return std::vector{CompactedAway()};
      return events;
    };
  }

  FakeEtcd etcd;
  std::vector<etcdserverpb::WatchResponse> events;
  Scope scope;
};

TEST_F(EtcdHistoryTest, ReadsWhatWasReplaced) {
  mvccpb::Event deletion = Put(62, "/registry/c", "c1");
  deletion.set_type(mvccpb::Event::DELETE);
  events = {Events({Put(60, "/registry/a", "a1"), Put(61, "/registry/b", "")}),
            Events({deletion, Put(63, "/registry/a", "a2")}),
            Events({Put(101, "/registry/a", "a3")})};  // live as of 100
  const Read read = ReadAll(Options(etcd.url()), scope);
  ASSERT_TRUE(read.status.ok()) << read.status;
  EXPECT_EQ(read.extent.compacted, kCompacted);
  EXPECT_THAT(read.live, SizeIs(1));
  EXPECT_THAT(read.old, ElementsAre("/registry/a=a1", "/registry/c=c1", "/registry/a=a2"));
}

TEST_F(EtcdHistoryTest, AsksHowFarItIsWhereNothingMoreHappens) {
  events = {Events({Put(60, "/registry/a", "a1")})};
  const Read read = ReadAll(Options(etcd.url()), scope);
  ASSERT_TRUE(read.status.ok()) << read.status;
  EXPECT_THAT(read.old, ElementsAre("/registry/a=a1"));
}

TEST_F(EtcdHistoryTest, HasNoneWhereNothingHappened) {
  etcd.on_watch = [](std::int64_t) { return std::vector<etcdserverpb::WatchResponse>{}; };
  etcd.values.clear();
  const Read read = ReadAll(Options(etcd.url()), scope);
  ASSERT_TRUE(read.status.ok()) << read.status;
  EXPECT_EQ(read.extent.compacted, 0);
  EXPECT_THAT(read.old, IsEmpty());
}

TEST_F(EtcdHistoryTest, IsEmptyWhereAllIsCompacted) {
  etcd.revision = kCompacted;
  const Read read = ReadAll(Options(etcd.url()), scope);
  ASSERT_TRUE(read.status.ok()) << read.status;
  EXPECT_THAT(read.live, SizeIs(1));
  EXPECT_EQ(etcd.watches, 1) << "etcd would not answer how far it is: the second begins later";
}

TEST_F(EtcdHistoryTest, GoesOnWhereAnotherBrokeOff) {
  FakeEtcd second;
  Fill(second, 1);
  std::vector<std::int64_t> from;
  const std::vector<mvccpb::Event> all{Put(60, "/registry/a", "a1"), Put(61, "/registry/a", "a2"),
                                       Put(61, "/registry/b", "b1"), Put(61, "/registry/c", "c1"),
                                       Put(62, "/registry/a", "a3")};
  // In the middle of a revision.
  events = {Events({all[0], all[1], all[2]})};
  etcd.on_watch = [&](std::int64_t start) {
    etcd.watch_ends = start > kCompacted;
    if (start <= kCompacted) return std::vector{CompactedAway()};
    return events;
  };
  etcd.watch_end = grpc::Status(grpc::StatusCode::UNAVAILABLE, "stopped");
  second.on_watch = [&](std::int64_t start) {
    from.push_back(start);
    return std::vector{Events({all[1], all[2]}), Events({all[3], all[4]})};
  };
  const Read read = ReadAll(Options(absl::StrCat(etcd.url(), ",", second.url())), scope);
  ASSERT_TRUE(read.status.ok()) << read.status;
  EXPECT_THAT(from, ElementsAre(61));
  EXPECT_THAT(read.old, ElementsAre("/registry/a=a1", "/registry/a=a2", "/registry/b=b1",
                                    "/registry/c=c1", "/registry/a=a3"));
}

TEST_F(EtcdHistoryTest, DoesNotBelieveThatItHasAllTooEarly) {
  // A live value of revision 80 was seen, so an event of 80 has to come: etcd before 3.5.8.
  etcd.on_range = [&](const etcdserverpb::RangeRequest&) { return grpc::Status::OK; };
  etcdserverpb::WatchResponse early;
  early.mutable_header()->set_revision(150);
  etcd.value_revision = 80;
  events = {early, Events({Put(60, "/registry/a", "a1")}), early,
            Events({Put(80, "/registry/a", "a2")})};
  const Read read = ReadAll(Options(etcd.url()), scope);
  ASSERT_TRUE(read.status.ok()) << read.status;
  EXPECT_THAT(read.old, ElementsAre("/registry/a=a1", "/registry/a=a2"));
}

TEST_F(EtcdHistoryTest, LeavesOneThatAnswersAndDoesNotGetOn) {
  FakeEtcd second;
  Fill(second, 1);
  second.on_watch = [](std::int64_t) {
    return std::vector{Events({Put(60, "/registry/a", "a1"), Put(61, "/registry/a", "a2")})};
  };
  events = {Events({Put(60, "/registry/a", "a1")})};
  events[0].mutable_header()->set_revision(60);
  etcd.watch_revision = 99;
  EtcdOptions options = Options(absl::StrCat(etcd.url(), ",", second.url()));
  options.patience = std::chrono::milliseconds(300);
  const Read read = ReadAll(options, scope);
  ASSERT_TRUE(read.status.ok()) << read.status;
  EXPECT_THAT(read.old, ElementsAre("/registry/a=a1", "/registry/a=a2"));
}

TEST_F(EtcdHistoryTest, EndsWhereTheSameEventsComeAgainAndAgain) {
  etcd.watch_end = grpc::Status(grpc::StatusCode::UNAVAILABLE, "stopped");
  etcd.on_watch = [&](std::int64_t from) {
    etcd.watch_ends = from > kCompacted;
    if (from <= kCompacted) return std::vector{CompactedAway()};
    if (etcd.watches > 20) events = {Events({Put(101, "/registry/a", "a3")})};
    return events;
  };
  events = {Events({Put(60, "/registry/a", "a1")})};
  const Read read = ReadAll(Options(etcd.url()), scope);
  EXPECT_TRUE(absl::IsUnavailable(read.status)) << read.status;
  EXPECT_THAT(read.old, ElementsAre("/registry/a=a1"));
}

TEST_F(EtcdHistoryTest, SaysWhenItIsCompactedMeanwhile) {
  mvccpb::Event without = Put(61, "/registry/a", "a1");
  without.clear_prev_kv();
  events = {Events({without})};
  EXPECT_TRUE(absl::IsOutOfRange(ReadAll(Options(etcd.url()), scope).status));
  events = {Events({Put(60, "/registry/a", "a1")}), CompactedAway()};
  EXPECT_TRUE(absl::IsOutOfRange(ReadAll(Options(etcd.url()), scope).status));
}

TEST_F(EtcdHistoryTest, SaysWhoMayNotWatch) {
  etcd.on_watch = [](std::int64_t) {
    etcdserverpb::WatchResponse response;
    response.set_canceled(true);
    response.set_created(true);
    response.set_cancel_reason("rpc error: code = PermissionDenied desc = permission denied");
    return std::vector{response};
  };
  EXPECT_TRUE(absl::IsPermissionDenied(ReadAll(Options(etcd.url()), scope).status));
}

// ---- A survey

class Watcher : public Observer {
 public:
  void Begin(const Extent&) override {
    ++begun;
    seen = 0;
  }
  void See(const StoredValue&, const Envelope&) override { ++seen; }
  int begun = 0;
  int seen = 0;
};

TEST(SurveyTest, BeginsAnewOnceWhenItIsCompactedAway) {
  FakeEtcd etcd;
  Fill(etcd, 1500);
  int failures = 1;
  etcd.on_range = [&](const etcdserverpb::RangeRequest& request) {
    if (request.key() <= "/registry/s/1" || failures == 0) return grpc::Status::OK;
    --failures;
    etcd.revision = 200;
    return grpc::Status(grpc::StatusCode::OUT_OF_RANGE, "compacted");
  };
  const auto store = OpenEtcd(Options(etcd.url()));
  ASSERT_TRUE(store.ok());
  Watcher watcher;
  Observer* const observers[] = {&watcher};
  const auto survey = TakeSurvey(**store, {}, observers);
  ASSERT_TRUE(survey.ok()) << survey.status();
  EXPECT_TRUE(survey->restarted);
  EXPECT_EQ(survey->extent.revision, 200);
  EXPECT_EQ(survey->tally.values(), 1500u);
  EXPECT_EQ(watcher.begun, 2);
  EXPECT_EQ(watcher.seen, 1500);

  failures = 2;
  const auto again = TakeSurvey(**store, {}, observers);
  EXPECT_TRUE(absl::IsOutOfRange(again.status()));
  EXPECT_THAT(std::string(again.status().message()), HasSubstr("compact less often"));
}

}  // namespace
}  // namespace okms::audit

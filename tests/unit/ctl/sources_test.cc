// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "ctl/sources.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"
#include "base/unix_address.h"
#include "ctl/connection.h"
#include "support/status_is.h"
#include "support/temp_dir.h"

namespace okms::ctl {
namespace {

using test::StatusIs;
using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> Names(const Places& places) {
  const std::vector<Source> sources = SourcesOf(places).value();
  std::vector<std::string> names;
  for (const Source& source : sources) names.push_back(source.name);
  return names;
}

TEST(SourcesOfTest, AreThoseOfTheUnits) {
  EXPECT_THAT(Names({}), ElementsAre("internal.okms.Kms1 on the system bus",
                                     "/run/okms-k8s-encryption-provider/status.sock",
                                     "/run/okms-k8s-encryption-provider/kms.sock",
                                     "/var/run/okms_etcd_plugin.sock"));
  EXPECT_THAT(Names({"", "", "one"}),
              ElementsAre("internal.okms.Kms1.one on the system bus",
                          "/run/okms-k8s-encryption-provider/one/status.sock",
                          "/run/okms-k8s-encryption-provider/one/kms.sock"));
  EXPECT_EQ((Places{"", "", "one"}).Unit(), "okms-k8s-encryption-provider@one.service");
}

TEST(SourcesOfTest, AreNoOthersThanThoseThatWereNamed) {
  EXPECT_THAT(Names({"", "/s.sock", ""}), ElementsAre("/s.sock"));
  EXPECT_THAT(Names({"@kms", "[::1]:9440", ""}), ElementsAre("[::1]:9440", "@kms"));
  EXPECT_THAT(Names({"unix:///k.sock", "unix:/s.sock", ""}),
              ElementsAre("unix:/s.sock", "/k.sock"));
}

TEST(SourcesOfTest, SaysWhichOptionIsWrong) {
  const auto mistake = [](const Places& places, const std::string& text) {
    EXPECT_THAT(SourcesOf(places), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(text)));
  };
  mistake({"kms.sock", "", ""}, "--socket: \"kms.sock\" is no absolute path");
  mistake({"", "kms.example:1", ""}, "--status kms.example:1: no IP address");
  mistake({"", "unix:s", ""}, "--status unix:s: no absolute path");
  mistake({"", "run/status.sock", ""},
          "--status: \"run/status.sock\" is no absolute path; give /path or host:port");
  mistake({"", "status.sock", ""},
          "--status: \"status.sock\" is no absolute path; give /path or host:port");
  for (const char* const name : {"a/b", "..", "a b", "$(id)", "a\n"}) {
    mistake({"", "", name}, "no name of an instance");
  }
  mistake({"/k.sock", "", "one"}, "--instance is for the places of the units");
}

TEST(SocketOfTest, IsWhereKubeApiserverConnects) {
  EXPECT_EQ(SocketOf({"unix:///k.sock", "", ""})->ToString(), "/k.sock");
  EXPECT_EQ(SocketOf({"@kms", "", ""})->ToString(), "@kms");
  EXPECT_EQ(SocketOf({"", "", "one"})->ToString(),
            "/run/okms-k8s-encryption-provider/one/kms.sock");
  EXPECT_THAT(SocketOf({"kms.sock", "", ""}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("--socket: \"kms.sock\" is no absolute path")));
  EXPECT_THAT(SocketOf({"", "", "a/b"}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("--instance a/b: no name")));
  EXPECT_THAT(SocketOf({"/k.sock", "", "one"}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("leave it out")));
}

TEST(AskTest, TakesTheFirstAnswer) {
  std::vector<std::string> asked;
  const auto source = [&asked](const std::string& name, absl::StatusOr<Json> answer) {
    return Source{name, [&asked, name, answer](Deadline) {
                    asked.push_back(name);
                    return answer;
                  }};
  };
  const std::vector<Source> sources{source("one", absl::NotFoundError("not there")),
                                    source("two", Json{{"ready", true}}),
                                    source("three", Json{{"ready", false}})};
  EXPECT_EQ(Ask(sources)->source, "two");
  EXPECT_THAT(asked, ElementsAre("one", "two"));
  const std::vector<Source> none{source("one", absl::NotFoundError("not there")),
                                 source("two", absl::UnavailableError("away"))};
  EXPECT_THAT(Ask(none), StatusIs(absl::StatusCode::kUnavailable, "one: not there\ntwo: away"));
  const std::vector<Source> denied{source("one", absl::PermissionDeniedError("no")),
                                   source("two", absl::UnavailableError("away"))};
  EXPECT_THAT(Ask(denied), StatusIs(absl::StatusCode::kPermissionDenied, "one: no\ntwo: away"));
}

TEST(ConnectTest, SaysWhyItCannot) {
  const test::TempDir folder;
  const auto connect = [&](const std::string& path) {
    return Connect(SocketAddress{path, "", ""}, Clock::now() + std::chrono::minutes(1));
  };
  const std::string path = folder / "socket";
  EXPECT_THAT(connect(path), StatusIs(absl::StatusCode::kNotFound, "there is no such socket"));
  EXPECT_THAT(connect(folder / std::string(200, 'x')),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("that long")));
  UniqueFd listening(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const UnixAddress address = UnixAddress::Of(path).value();
  ASSERT_EQ(::bind(listening.get(), address.get(), address.size()), 0);
  EXPECT_THAT(connect(path), StatusIs(absl::StatusCode::kUnavailable, "nobody listens there"));
  ASSERT_EQ(::listen(listening.get(), 0), 0);
  const auto first = connect(path);
  EXPECT_THAT(first, test::IsOk());
  // The queue is full: a second one would wait.
  EXPECT_THAT(Connect(SocketAddress{path, "", ""}, Clock::now() + std::chrono::milliseconds(20)),
              StatusIs(absl::StatusCode::kUnavailable, "no answer in time"));
}

}  // namespace
}  // namespace okms::ctl

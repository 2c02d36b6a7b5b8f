// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "control/service_manager.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cstddef>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "support/status_is.h"
#include "support/temp_dir.h"
#include "unit/environment.h"

namespace okms {
namespace {

using test::IsOk;
using test::ScopedVariable;
using test::StatusIs;
using ::testing::HasSubstr;

// The manager's end. A name that begins with '@' is abstract.
UniqueFd Listen(const std::string& name) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  name.copy(address.sun_path, name.size());
  if (name[0] == '@') address.sun_path[0] = '\0';
  UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address),
                   static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size())),
            0);
  return fd;
}

std::string Receive(const UniqueFd& fd) {
  std::array<char, 256> buffer{};
  const ssize_t size = ::recv(fd.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  return size < 0 ? "nothing" : std::string(buffer.data(), static_cast<std::size_t>(size));
}

class ServiceManagerTest : public ::testing::Test {
 protected:
  absl::StatusOr<ServiceManager> Connect(std::optional<std::string> name) {
    const ScopedVariable variable("NOTIFY_SOCKET", std::move(name));
    return ServiceManager::Connect();
  }
  test::TempDir dir_;
};

TEST_F(ServiceManagerTest, TellsThroughAPath) {
  const UniqueFd end = Listen(dir_ / "notify");
  const auto manager = Connect(dir_ / "notify");
  ASSERT_THAT(manager, IsOk());
  manager->Notify("READY=1");
  manager->Notify("STATUS=serving");
  EXPECT_EQ(Receive(end), "READY=1");
  EXPECT_EQ(Receive(end), "STATUS=serving");
  EXPECT_EQ(Receive(end), "nothing");
}

TEST_F(ServiceManagerTest, TellsThroughAnAbstractName) {
  const std::string name = absl::StrCat("@", dir_.path());
  const UniqueFd end = Listen(name);
  const auto manager = Connect(name);
  ASSERT_THAT(manager, IsOk());
  manager->Notify("READY=1");
  EXPECT_EQ(Receive(end), "READY=1");
}

TEST_F(ServiceManagerTest, TellsNobodyWithoutTheVariable) {
  for (const auto& name : {std::optional<std::string>(), std::optional<std::string>("")}) {
    const auto manager = Connect(name);
    ASSERT_THAT(manager, IsOk());
    manager->Notify("READY=1");
  }
}

TEST_F(ServiceManagerTest, SurvivesTheManagersEnd) {
  std::optional<UniqueFd> end = Listen(dir_ / "notify");
  const auto manager = Connect(dir_ / "notify");
  ASSERT_THAT(manager, IsOk());
  end.reset();
  manager->Notify("WATCHDOG=1");
}

TEST_F(ServiceManagerTest, SaysWhichNameIsWrong) {
  EXPECT_THAT(Connect(dir_ / "none"),
              StatusIs(absl::StatusCode::kUnavailable,
                       absl::StrCat("cannot reach the service manager at NOTIFY_SOCKET=",
                                    dir_ / "none", ": No such file or directory")));
  for (const std::string& name : {std::string("relative"), std::string("vsock:2:1234"),
                                  absl::StrCat("/", std::string(200, 'x'))}) {
    EXPECT_THAT(Connect(name), StatusIs(absl::StatusCode::kUnavailable,
                                        HasSubstr("not the name of a unix socket")));
  }
}

}  // namespace
}  // namespace okms

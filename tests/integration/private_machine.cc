// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "integration/private_machine.h"

#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"
#include "integration/wait.h"

namespace okms::test {
namespace {

bool RaiseLoopback() {
  const UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strncpy(request.ifr_name, "lo", sizeof request.ifr_name - 1);
  if (::ioctl(fd.get(), SIOCGIFFLAGS, &request) != 0) return false;
  request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
  return ::ioctl(fd.get(), SIOCSIFFLAGS, &request) == 0;
}

// Mounts can be kept from others only where the root is one: in a chroot into a plain folder, which
// some containers are, it is none.
bool RootIsMountPoint() {
  std::ifstream mounts("/proc/self/mountinfo");
  std::string id, parent, device, root, point;  // proc(5)
  for (std::string line; std::getline(mounts, line);) {
    if (std::istringstream(line) >> id >> parent >> device >> root >> point && point == "/") {
      return true;
    }
  }
  return false;
}

}  // namespace

PrivateMachine::PrivateMachine() {
  if (::geteuid() != 0) {
    missing_ = "only root can have a network and an /etc of its own";
    return;
  }
  if (!RootIsMountPoint()) {
    missing_ =
        "the root of this machine is no mount point (a chroot, or a container that is one), so no "
        "/etc of its own can be mounted; run it in a container with a root of its own";
    return;
  }
  // After the first step the others must not fail: the tests would go on in half a machine.
  if (::unshare(CLONE_NEWNS | CLONE_NEWNET) != 0) {
    missing_ = absl::StrCat("no namespaces here: ", std::strerror(errno));
    return;
  }
  const std::string& copy = mount_point_.path();
  Must(::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
           ::mount("tmpfs", copy.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755") == 0,
       "no tmpfs");
  Must(std::system(absl::StrCat("cp -a /etc/. ", copy).c_str()) == 0, "no copy of /etc");
  // Container managers mount these two each by itself; a copy of the folder has none of that.
  Must(::mount(copy.c_str(), "/etc", nullptr, MS_MOVE, nullptr) == 0, "no /etc");
  Must(RaiseLoopback(), "no loopback interface");
}

void PrivateMachine::Replace(const std::string& path, const std::string& content) {
  const std::string other = absl::StrCat(path, ".new");
  std::ofstream(other) << content;
  std::filesystem::rename(other, path);
}

}  // namespace okms::test

// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "net/proxy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/libcurl.h"
#include "support/status_is.h"
#include "unit/environment.h"

namespace okms {
namespace {

using test::ScopedVariable;

class ProxyTest : public ::testing::Test {
 protected:
  ProxyTest() {
    EXPECT_THAT(LoadLibCurl(), test::IsOk());
    for (const char* name :
         {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"}) {
      cleared_.push_back(std::make_unique<ScopedVariable>(name, std::nullopt));
    }
  }
  // "host:port", "none" without a proxy, and "unknown" with one that has no host.
  static std::string Server() {
    const std::optional<Proxy> proxy = ProxyFromEnvironment();
    if (!proxy) return "none";
    return proxy->server ? proxy->server->ToString() : "unknown";
  }
  static std::string ServerOf(const std::string& url) {
    const ScopedVariable variable("HTTPS_PROXY", url);
    EXPECT_EQ(ProxyFromEnvironment().value_or(Proxy()).url, url);
    return Server();
  }
  static bool TargetIsResolved(const std::string& url) {
    const ScopedVariable variable("HTTPS_PROXY", url);
    return ProxyFromEnvironment()->target_is_resolved;
  }

  std::vector<std::unique_ptr<ScopedVariable>> cleared_;
};

TEST_F(ProxyTest, VariablesInLibcurlsOrder) {
  EXPECT_EQ(Server(), "none");
  const ScopedVariable http("HTTP_PROXY", "http://http:1");
  const ScopedVariable http_lower("http_proxy", "http://http-lower:1");
  EXPECT_EQ(Server(), "none");
  const ScopedVariable all("ALL_PROXY", "http://all:1");
  EXPECT_EQ(Server(), "all:1");
  const ScopedVariable all_lower("all_proxy", "http://all-lower:1");
  EXPECT_EQ(Server(), "all-lower:1");
  const ScopedVariable https("HTTPS_PROXY", "http://https:1");
  EXPECT_EQ(Server(), "https:1");
  const ScopedVariable https_lower("https_proxy", "http://https-lower:1");
  EXPECT_EQ(Server(), "https-lower:1");
  // An empty one is as good as none.
  const ScopedVariable https_empty("https_proxy", "");
  EXPECT_EQ(Server(), "https:1");
}

TEST_F(ProxyTest, HostAndPort) {
  EXPECT_EQ(ServerOf("http://proxy.example:3128"), "proxy.example:3128");
  EXPECT_EQ(ServerOf("http://proxy.example:3128/"), "proxy.example:3128");
  EXPECT_EQ(ServerOf("proxy.example:3128"), "proxy.example:3128");
  EXPECT_EQ(ServerOf("proxy.example"), "proxy.example:1080");
  EXPECT_EQ(ServerOf("http://proxy.example"), "proxy.example:1080");
  EXPECT_EQ(ServerOf("http://proxy.example:80"), "proxy.example:80");
  EXPECT_EQ(ServerOf("https://proxy.example"), "proxy.example:443");
  EXPECT_EQ(ServerOf("https://proxy.example:8443"), "proxy.example:8443");
  EXPECT_EQ(ServerOf("socks5h://proxy.example"), "proxy.example:1080");
  EXPECT_EQ(ServerOf("SOCKS4://proxy.example:9"), "proxy.example:9");
  EXPECT_EQ(ServerOf("http://user:pass%40word@proxy.example:3128"), "proxy.example:3128");
  EXPECT_EQ(ServerOf("http://192.0.2.1:3128"), "192.0.2.1:3128");
  EXPECT_EQ(ServerOf("http://[2001:db8::1]:3128"), "[2001:db8::1]:3128");
  EXPECT_EQ(ServerOf("[2001:db8::1]:3128"), "[2001:db8::1]:3128");
}

TEST_F(ProxyTest, WithoutAHost) {
  EXPECT_EQ(ServerOf("socks5h://localhost/run/proxy.sock"), "unknown");
  EXPECT_EQ(ServerOf("socks5h://localhost:9"), "localhost:9");
  EXPECT_EQ(ServerOf("http://localhost:9/path"), "localhost:9");
  EXPECT_EQ(ServerOf("http://"), "unknown");
  EXPECT_EQ(ServerOf("http://proxy:port"), "unknown");
  EXPECT_EQ(ServerOf("http://a b"), "unknown");
}

TEST_F(ProxyTest, WhenTheTargetIsResolvedToo) {
  EXPECT_FALSE(TargetIsResolved("http://proxy:1"));
  EXPECT_FALSE(TargetIsResolved("https://proxy:1"));
  EXPECT_FALSE(TargetIsResolved("socks4a://proxy:1"));
  EXPECT_FALSE(TargetIsResolved("socks5h://proxy:1"));
  EXPECT_TRUE(TargetIsResolved("socks://proxy:1"));
  EXPECT_TRUE(TargetIsResolved("socks4://proxy:1"));
  EXPECT_TRUE(TargetIsResolved("Socks5://proxy:1"));
  for (const char* name : {"NO_PROXY", "no_proxy"}) {
    const ScopedVariable variable(name, "example.org");
    EXPECT_TRUE(TargetIsResolved("http://proxy:1")) << name;
    EXPECT_TRUE(TargetIsResolved("http://")) << name;
  }
  const ScopedVariable empty("NO_PROXY", "");
  EXPECT_FALSE(TargetIsResolved("http://proxy:1"));
}

}  // namespace
}  // namespace okms

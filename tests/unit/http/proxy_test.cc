// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "http/proxy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "http/libcurl.h"
#include "support/status_is.h"
#include "unit/environment.h"

namespace okms::http {
namespace {

using test::ScopedVariable;

const HostPort kKms{"kms.example", 443};

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
    const std::optional<Proxy> proxy = ProxyFor(kKms);
    if (!proxy) return "none";
    return proxy->server ? proxy->server->ToString() : "unknown";
  }
  static std::string ServerOf(const std::string& url) {
    const ScopedVariable variable("HTTPS_PROXY", url);
    return Server();
  }
  static std::string UrlOf(const std::string& url) {
    const ScopedVariable variable("HTTPS_PROXY", url);
    return ProxyFor(kKms).value_or(Proxy()).url;
  }
  static bool TargetIsResolved(const std::string& url) {
    const ScopedVariable variable("HTTPS_PROXY", url);
    return ProxyFor(kKms)->target_is_resolved;
  }

  std::vector<std::unique_ptr<ScopedVariable>> cleared_;
};

TEST_F(ProxyTest, VariablesInTheOrderOfGo) {
  EXPECT_EQ(Server(), "none");
  const ScopedVariable http("HTTP_PROXY", "http://http:1");
  const ScopedVariable http_lower("http_proxy", "http://http-lower:1");
  const ScopedVariable all("ALL_PROXY", "http://all:1");
  const ScopedVariable all_lower("all_proxy", "http://all-lower:1");
  EXPECT_EQ(Server(), "none");
  const ScopedVariable https_lower("https_proxy", "http://https-lower:1");
  EXPECT_EQ(Server(), "https-lower:1");
  const ScopedVariable https("HTTPS_PROXY", "http://https:1");
  EXPECT_EQ(Server(), "https:1");
  // An empty one is as good as none.
  const ScopedVariable https_empty("HTTPS_PROXY", "");
  EXPECT_EQ(Server(), "https-lower:1");
}

TEST_F(ProxyTest, NoneForWhomNoProxyNames) {
  const ScopedVariable https("HTTPS_PROXY", "http://proxy:1");
  EXPECT_EQ(ProxyFor({"localhost", 443}), std::nullopt);
  EXPECT_EQ(ProxyFor({"127.0.0.1", 443}), std::nullopt);
  for (const char* name : {"NO_PROXY", "no_proxy"}) {
    const ScopedVariable variable(name, "other, *.example:443");
    EXPECT_EQ(Server(), "none") << name;
    EXPECT_NE(ProxyFor({"kms.example", 8443}), std::nullopt) << name;
  }
  const ScopedVariable lower("no_proxy", "*");
  EXPECT_EQ(Server(), "none");
  const ScopedVariable upper("NO_PROXY", "other");  // this one counts then
  EXPECT_EQ(Server(), "proxy:1");
}

// What libcurl is told has the port that Go would take.
TEST_F(ProxyTest, UrlHasAPort) {
  EXPECT_EQ(UrlOf("http://proxy:1/"), "http://proxy:1/");
  EXPECT_EQ(UrlOf("http://user:pass%40word@proxy"), "http://user:pass%40word@proxy:80/");
  EXPECT_EQ(UrlOf("ftp.example"), "http://ftp.example:80/");
  EXPECT_EQ(UrlOf("socks5h://proxy"), "socks5h://proxy:1080/");
}

TEST_F(ProxyTest, HostAndPort) {
  EXPECT_EQ(ServerOf("http://proxy.example:3128"), "proxy.example:3128");
  EXPECT_EQ(ServerOf("http://proxy.example:3128/"), "proxy.example:3128");
  EXPECT_EQ(ServerOf("proxy.example:3128"), "proxy.example:3128");
  EXPECT_EQ(ServerOf("proxy.example"), "proxy.example:80");
  EXPECT_EQ(ServerOf("http://proxy.example"), "proxy.example:80");
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
}

}  // namespace
}  // namespace okms::http

// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "http/no_proxy.h"

#include <gtest/gtest.h>

namespace okms::http {
namespace {

constexpr bool kDirect = true;
constexpr bool kProxy = false;

struct Case {
  const char* no_proxy;
  HostPort target;
  bool direct;
};

// By the rules of golang.org/x/net/http/httpproxy.
const Case kCases[] = {
    // Loopback, whatever the list says.
    {"", {"localhost", 443}, kDirect},
    {"", {"LOCALHOST.", 443}, kDirect},
    {"", {"127.0.0.1", 443}, kDirect},
    {"", {"127.8.9.10", 443}, kDirect},
    {"", {"::1", 443}, kDirect},
    {"", {"::ffff:127.0.0.1", 443}, kDirect},
    {"", {"localhost.example", 443}, kProxy},
    {"", {"kms.example", 443}, kProxy},
    {"", {"192.0.2.1", 443}, kProxy},
    // Everything.
    {"*", {"kms.example", 443}, kDirect},
    {"other.example, *", {"kms.example", 443}, kDirect},
    {"other.example,*,", {"192.0.2.1", 443}, kDirect},
    // A domain and what is in it.
    {"example", {"kms.example", 443}, kDirect},
    {"example", {"example", 443}, kDirect},
    {"example", {"kmsexample", 443}, kProxy},
    {"EXAMPLE", {"kms.Example", 443}, kDirect},
    {"kms.example", {"example", 443}, kProxy},
    {"kms.example", {"kms.example.", 443}, kDirect},
    {"a.example , kms.example", {"kms.example", 443}, kDirect},
    {"a.example kms.example", {"kms.example", 443}, kProxy},  // blanks separate nothing
    // What is in it only.
    {".example", {"kms.example", 443}, kDirect},
    {".example", {"example", 443}, kProxy},
    {"*.example", {"kms.example", 443}, kDirect},
    {"*.example", {"a.kms.example", 443}, kDirect},
    {"*.example", {"example", 443}, kProxy},
    {"*example", {"kms.example", 443}, kProxy},
    {"kms.*", {"kms.example", 443}, kProxy},
    // With a port.
    {"kms.example:443", {"kms.example", 443}, kDirect},
    {"kms.example:443", {"kms.example", 8443}, kProxy},
    {".example:443", {"kms.example", 443}, kDirect},
    {"*.example:8443", {"kms.example", 443}, kProxy},
    {":443", {"kms.example", 443}, kProxy},
    // Addresses.
    {"192.0.2.1", {"192.0.2.1", 443}, kDirect},
    {"192.0.2.1", {"192.0.2.10", 443}, kProxy},
    {"192.0.2.1:443", {"192.0.2.1", 443}, kDirect},
    {"192.0.2.1:443", {"192.0.2.1", 8443}, kProxy},
    {"2001:db8::1", {"2001:db8:0::1", 443}, kDirect},
    {"[2001:db8::1]:443", {"2001:db8::1", 443}, kDirect},
    {"[2001:db8::1]:443", {"2001:db8::1", 8443}, kProxy},
    {"[2001:db8::1]", {"2001:db8::1", 443}, kProxy},  // brackets belong to a port
    {"::ffff:192.0.2.1", {"192.0.2.1", 443}, kDirect},
    {".2.1", {"192.0.2.1", 443}, kDirect},  // as the end of a name
    // Networks.
    {"192.0.2.0/24", {"192.0.2.99", 443}, kDirect},
    {"192.0.2.77/24", {"192.0.2.99", 443}, kDirect},
    {"192.0.2.0/25", {"192.0.2.200", 443}, kProxy},
    {"192.0.2.1/32", {"192.0.2.1", 443}, kDirect},
    {"0.0.0.0/0", {"192.0.2.1", 443}, kDirect},
    {"0.0.0.0/0", {"2001:db8::1", 443}, kProxy},
    {"0.0.0.0/0", {"kms.example", 443}, kProxy},  // names are not resolved for it
    {"2001:db8::/32", {"2001:db8:1::1", 443}, kDirect},
    {"2001:db8::/32", {"2001:db9::1", 443}, kProxy},
    {"192.0.2.0/33", {"192.0.2.1", 443}, kProxy},
    {"192.0.2.0/", {"192.0.2.1", 443}, kProxy},
    // Nothing.
    {",, ,", {"kms.example", 443}, kProxy},
};

TEST(NoProxy, RulesOfGo) {
  for (const auto& [no_proxy, target, direct] : kCases) {
    EXPECT_EQ(IsExceptedFromProxy(target, no_proxy), direct)
        << target.ToString() << " with " << no_proxy;
  }
}

}  // namespace
}  // namespace okms::http

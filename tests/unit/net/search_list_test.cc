// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "net/search_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace okms {
namespace {

struct Case {
  const char* what;
  const char* name;
  const char* resolv_conf;
  const char* host_name;
  std::vector<std::string> names;
};

// What Go's resolver does with the same (net/dnsconfig_unix.go).
const Case kCases[] = {
    {"nothing is said", "kms.example", "", "node", {"kms.example."}},
    {"no domain", "kms", "nameserver 192.0.2.1\n", "node", {"kms."}},
    {"the machine's own", "kms", "", "node.lan.example", {"kms.lan.example.", "kms."}},
    {"said, so not the machine's", "kms", "search a\n", "node.b", {"kms.a.", "kms."}},
    {"enough dots",
     "kms.example",
     "search a b\n",
     "node",
     {"kms.example.", "kms.example.a.", "kms.example.b."}},
    {"a pod's",
     "kms.example",
     "search d.svc.cluster.local cluster.local\noptions ndots:5\n",
     "node",
     {"kms.example.d.svc.cluster.local.", "kms.example.cluster.local.", "kms.example."}},
    {"the root alone", "kms.example", "search .\noptions ndots:5\n", "node", {"kms.example."}},
    {"the root among others",
     "kms.example",
     "search cluster.local .\noptions ndots:5\n",
     "node",
     {"kms.example.cluster.local.", "kms.example."}},
    {"absolute", "kms.example.", "search a\noptions ndots:5\n", "node", {"kms.example."}},
    {"a domain with its dot", "kms", "search a.\n", "node", {"kms.a.", "kms."}},
    {"the last line counts", "kms", "search a\ndomain b\n", "node", {"kms.b.", "kms."}},
    {"an empty search", "kms", "search\n", "node", {"kms."}},
    {"comments", "kms", "#search a\n; search b\n", "node", {"kms."}},
    {"tabs and carriage returns", "kms", "\tsearch\ta\r\n", "node", {"kms.a.", "kms."}},
    {"no dot is needed", "kms", "search a\noptions ndots:0\n", "node", {"kms.", "kms.a."}},
    {"other options",
     "a.b",
     "search c\noptions rotate ndots:2 timeout:1\n",
     "node",
     {"a.b.c.", "a.b."}},
    {"dots that are no number", "a.b", "search c\noptions ndots:x\n", "node", {"a.b.", "a.b.c."}},
    {"more dots than count",
     "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p",
     "search q\noptions ndots:99\n",
     "node",
     {"a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.", "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q."}},
};

TEST(SearchList, IsThatOfGo) {
  for (const Case& test : kCases) {
    EXPECT_EQ(SearchList(test.name, test.resolv_conf, test.host_name), test.names) << test.what;
  }
}

TEST(SearchList, LeavesOutWhatIsTooLong) {
  const std::string long_domain(240, 'a');
  EXPECT_THAT(SearchList("kms.example.org", "search " + long_domain + " b\n", "node"),
              ::testing::ElementsAre("kms.example.org.", "kms.example.org.b."));
}

}  // namespace
}  // namespace okms

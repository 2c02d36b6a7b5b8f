// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "audit/resource.h"

#include <gtest/gtest.h>

#include <string>

namespace okms::audit {
namespace {

TEST(ResourceTest, IsNamedAsInTheConfiguration) {
  const struct {
    absl::string_view key;
    absl::string_view resource;
  } cases[] = {
      {"/registry/secrets/default/name", "secrets"},
      {"/registry/namespaces/default", "namespaces"},
      {"/registry/services/specs/default/kubernetes", "services"},
      {"/registry/services/endpoints/default/kubernetes", "endpoints"},
      {"/registry/minions/node", "nodes"},
      {"/registry/controllers/default/rc", "replicationcontrollers"},
      {"/registry/argoproj.io/applications/argocd/guestbook", "applications.argoproj.io"},
      {"/registry/apiextensions.k8s.io/customresourcedefinitions/a.b",
       "customresourcedefinitions.apiextensions.k8s.io"},
      {"/registry/secrets", "secrets"},
      {"/registry/a.b/name", "a.b"},
      {"/registry/", "(elsewhere)"},
      {"compact_rev_key", "(elsewhere)"},
      {"/other/secrets/a/b", "/other/secrets"},
      {"/other/secrets", "(elsewhere)"},
      {"/registry/a\nb/c", "a?b"},
  };
  for (const auto& [key, resource] : cases) EXPECT_EQ(ResourceOf(key, "/registry/"), resource);
  EXPECT_LT(ResourceOf("/registry/" + std::string(5000, 'r') + "/n", "/registry/").size(), 300u);
}

TEST(ResourceTest, FindsTheRootOfWhatIsRead) {
  EXPECT_EQ(RootOf("/registry/"), "/registry/");
  EXPECT_EQ(RootOf("/registry/secrets/default/"), "/registry/");
  EXPECT_EQ(RootOf("/kubernetes.io/secrets/"), "/kubernetes.io/");
  EXPECT_EQ(RootOf("/openshift.io/oauth/"), "/openshift.io/");
  EXPECT_EQ(RootOf("/clusters/one/registry/"), "/clusters/one/registry/");
  EXPECT_EQ(RootOf("/clusters/one/registry/secrets/"), "/clusters/one/registry/");
  EXPECT_EQ(RootOf("/k8s/"), "/k8s/");
  EXPECT_EQ(RootOf("/k8s/secrets/default/"), "/k8s/");
  EXPECT_EQ(RootOf(""), "/registry/");
  EXPECT_EQ(RootOf("/"), "/registry/");
}

}  // namespace
}  // namespace okms::audit

// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "ctl/resource_name.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/status_is.h"

namespace okms::ctl {
namespace {

using okms::test::IsOkAndHolds;
using okms::test::StatusIs;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(ResourceName, CoversItselfAndWhatIsBelowIt) {
  EXPECT_TRUE(Covers("secrets", "secrets"));
  EXPECT_TRUE(Covers("*.", "secrets"));
  EXPECT_TRUE(Covers("*.apps", "deployments.apps"));
  EXPECT_TRUE(Covers("*.*", "secrets"));
  EXPECT_TRUE(Covers("*.*", "*.apps"));
  EXPECT_FALSE(Covers("*.apps", "secrets"));
  EXPECT_FALSE(Covers("*.", "deployments.apps"));
  EXPECT_FALSE(Covers("secrets", "*."));
  EXPECT_FALSE(Covers("secrets", "secrets.example.com"));
}

struct Row {
  std::string name;
  std::vector<std::string> resources;
  std::string said;  // empty: they are taken
};
void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

const std::vector<Row> kRows{
    {"Secrets", {"secrets"}, ""},
    {"Several", {"secrets", "configmaps", "widgets.example.com"}, ""},
    {"AllOfTheCoreGroup", {"*."}, ""},
    {"AllOfAGroup", {"secrets", "*.apps"}, ""},
    {"All", {"*.*"}, ""},
    {"Star",
     {"*"},
     "--resource *: write '*.' for all of the core group, or '*.*' for all there is"},
    {"AcrossGroups",
     {"secrets.*"},
     "--resource secrets.*: no resource is in several groups; write its own"},
    {"Capital",
     {"Secrets"},
     "--resource Secrets: is no name of a resource; write it as secrets or widgets.example.com, in "
     "small letters"},
    {"Empty",
     {""},
     "--resource : is no name of a resource; write it as secrets or widgets.example.com, in small "
     "letters"},
    {"Path",
     {"v1/secrets"},
     "--resource v1/secrets: is no name of a resource; write it as secrets or widgets.example.com, "
     "in small letters"},
    {"Singular",
     {"secret"},
     "--resource secret: is not in the core group; write the plural and the group: "
     "deployments.apps"},
    {"WithoutItsGroup",
     {"deployments"},
     "--resource deployments: is not in the core group; write the plural and the group: "
     "deployments.apps"},
    {"NotStored",
     {"serviceipallocations"},
     "--resource serviceipallocations: is not in the core group; write the plural and the group: "
     "deployments.apps"},
    {"EventsOfTheirGroup",
     {"events.events.k8s.io"},
     "--resource events.events.k8s.io: is stored as events; write that"},
    {"Extensions",
     {"ingresses.extensions"},
     "--resource ingresses.extensions: that group is gone; write the one that took its place"},
    {"Twice",
     {"secrets", "secrets"},
     "--resource secrets: overlaps with secrets, which kube-apiserver refuses; leave one out"},
    {"BelowAWildcard",
     {"*.", "secrets"},
     "--resource secrets: overlaps with *., which kube-apiserver refuses; leave one out"},
    {"AboveAResource",
     {"deployments.apps", "*.*"},
     "--resource *.*: overlaps with deployments.apps, which kube-apiserver refuses; leave one "
     "out"},
};

class CheckResourcesTest : public testing::TestWithParam<Row> {};

TEST_P(CheckResourcesTest, SaysItInOneLine) {
  EXPECT_EQ(CheckResources(GetParam().resources, "--resource").message(), GetParam().said);
}

INSTANTIATE_TEST_SUITE_P(Table, CheckResourcesTest, testing::ValuesIn(kRows),
                         [](const auto& row) { return row.param.name; });

TEST(ResourceNameTest, AListHasBlanksAndNoWildcards) {
  EXPECT_THAT(ParseResources("secrets, configmaps ,,widgets.example.com"),
              IsOkAndHolds(ElementsAre("configmaps", "secrets", "widgets.example.com")));
  EXPECT_THAT(ParseResources(""), IsOkAndHolds(IsEmpty()));
  for (const std::string wildcard : {"*", "*.*", "*.apps"}) {
    EXPECT_THAT(
        ParseResources("secrets, " + wildcard).status(),
        StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(wildcard + ": no wildcards here")));
  }
}

}  // namespace
}  // namespace okms::ctl

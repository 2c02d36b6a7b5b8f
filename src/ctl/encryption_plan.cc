// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// kube-apiserver encrypts with the first provider of an entry and reads with all of them; of two
// entries that name a resource, the first counts; and it takes each name of a kms provider once in
// the whole file. So all that the plugin encrypts stands in one entry, and what is taken out of
// another one takes along what can read it.

#include "ctl/encryption_plan.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "ctl/encryption_file.h"
#include "ctl/resource_name.h"
#include "doctor/shown_text.h"

namespace okms::ctl {
namespace {

using doctor::ShownValue;
using Step = EncryptionPlan::Step;
using Provider = EncryptionFile::Provider;
using Providers = std::vector<Provider>;
using Entry = EncryptionFile::Entry;

constexpr char kIdentity[] = "identity";
constexpr char kKms[] = "kms";

absl::Status Bad(int line, const std::string& why) {
  return absl::InvalidArgumentError(absl::StrCat("--from: line ", line, ": ", why));
}

bool IsIdentity(const Provider& provider) { return provider.kind == kIdentity; }
bool IsKms(const Provider& provider) { return provider.kind == kKms; }

class Planner {
 public:
  Planner(const EncryptionPlan& plan, EncryptionFile file) : plan_(plan), file_(std::move(file)) {}

  absl::StatusOr<EncryptionFile> Build() {
    OKMS_RETURN_IF_ERROR(ChooseResources());
    OKMS_RETURN_IF_ERROR(FindSource());
    OKMS_RETURN_IF_ERROR(TakeOursOut());
    OKMS_RETURN_IF_ERROR(CheckStep());
    OKMS_RETURN_IF_ERROR(PutIn({resources_, InOrder()}));
    return std::move(file_);
  }

  const std::string& caution() const { return caution_; }

 private:
  static constexpr std::size_t kNowhere = static_cast<std::size_t>(-1);

  bool IsOurs(const Provider& provider) const {
    return IsKms(provider) && provider.Text("name") == plan_.name;
  }

  absl::Status ChooseResources() {
    resources_ = plan_.resources;
    if (resources_.empty() && plan_.from.empty()) resources_ = {"secrets"};
    if (!resources_.empty()) return CheckResources(resources_, "--resource");
    for (const Entry& entry : file_.entries) {
      if (std::all_of(entry.providers.begin(), entry.providers.end(), IsIdentity)) continue;
      resources_.insert(resources_.end(), entry.resources.begin(), entry.resources.end());
    }
    // Each entry's are well, but not therefore those of several in one.
    if (!CheckResources(resources_, "").ok()) {
      return absl::InvalidArgumentError(
          "--from: resources of several entries overlap, which kube-apiserver refuses in one; take "
          "them one by one with --resource, each with a --name of its own");
    }
    if (!resources_.empty()) return absl::OkStatus();
    return absl::InvalidArgumentError(
        "--from: encrypts nothing; name what is to be encrypted: --resource secrets");
  }

  // The entry that counts for it.
  std::size_t SourceOf(const std::string& resource) const {
    for (std::size_t i = 0; i < file_.entries.size(); ++i) {
      for (const std::string& each : file_.entries[i].resources) {
        if (Covers(each, resource)) return i;
      }
    }
    return kNowhere;
  }

  // Where all of them stand. In several entries only if those are alike and one after the other: as
  // one they mean the same.
  absl::Status FindSource() {
    source_ = SourceOf(resources_.front());
    std::size_t last = source_;
    for (const std::string& resource : resources_) {
      const std::size_t found = SourceOf(resource);
      const bool alike = found == source_ || found == last ||
                         (source_ != kNowhere && found == last + 1 &&
                          file_.entries[found].providers == file_.entries[source_].providers);
      if (!alike) {
        return absl::InvalidArgumentError(
            absl::StrCat("--resource ", Printable(resource), ": is not encrypted as ",
                         Printable(resources_.front()),
                         " is in --from; take them one by one, each with a --name of its own"));
      }
      last = found;
    }
    if (source_ == kNowhere) {
      old_ = {{kIdentity, EncryptionFile::Value::object()}};
    } else {
      old_ = file_.entries[source_].providers;
    }
    return absl::OkStatus();
  }

  absl::Status TakeOursOut() {
    for (const Provider& each : old_) {
      if (IsOurs(each) && each.Text("endpoint") != plan_.endpoint) {
        return Bad(each.line, absl::StrCat("kms ", Printable(plan_.name), " is at ",
                                           ShownValue(each.Text("endpoint")),
                                           "; name that with --socket, or give another --name"));
      }
      if (IsKms(each) && !IsOurs(each) && each.Text("endpoint") == plan_.endpoint) {
        return Bad(each.line, absl::StrCat("kms ", ShownValue(each.Text("name")),
                                           " is at that socket already; give --name ",
                                           ShownValue(each.Text("name")),
                                           ", which stands before all that it has encrypted"));
      }
    }
    was_there_ = std::any_of(old_.begin(), old_.end(), [&](auto& each) { return IsOurs(each); });
    was_first_ = was_there_ && IsOurs(old_.front());
    old_.erase(std::remove_if(old_.begin(), old_.end(), [&](auto& each) { return IsOurs(each); }),
               old_.end());
    return absl::OkStatus();
  }

  absl::Status CheckStep() {
    const std::string what = Printable(absl::StrJoin(resources_, ", "));
    if (plan_.step == Step::kReaders && old_.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "--step readers: nobody else is there to write ", what, "; give --step writer"));
    }
    if (plan_.from.empty()) return absl::OkStatus();
    if (plan_.step == Step::kOnly && !was_first_) {
      return absl::InvalidArgumentError(
          absl::StrCat("--step only: what --from writes of ", what,
                       " could not be read any more; first give --step writer, and rewrite all"));
    }
    if (plan_.step == Step::kOnly && !old_.empty()) {
      caution_ = absl::StrCat("what is not stored under ", plan_.name,
                              " cannot be read with this: see first that `okms-kms-ctl audit` "
                              "finds none of it");
    }
    if (plan_.step == Step::kReaders && was_first_) {
      caution_ = absl::StrCat(old_.front().kind, " writes ", what, " again with this, and ",
                              plan_.name, " no more than reads");
    }
    if (plan_.step == Step::kWriter && !was_there_) {
      caution_ =
          "where there are several kube-apiservers, all need the output of --step readers first";
    }
    return absl::OkStatus();
  }

  Provider Ours() const {
    return {kKms,
            {{"apiVersion", "v2"},  // the default is v1, which is gone
             {"name", plan_.name},
             {"endpoint", plan_.endpoint},
             {"timeout", plan_.timeout}}};
  }

  Providers InOrder() const {
    if (plan_.step == Step::kOnly) return {Ours()};
    Providers order = old_;
    // What is not encrypted is read after all others have been asked, unless it is what is written.
    const auto kept = plan_.step == Step::kReaders ? 1 : 0;
    std::stable_partition(order.begin() + kept, order.end(),
                          [](const Provider& each) { return !IsIdentity(each); });
    order.insert(order.begin() + kept, Ours());
    return order;
  }

  // In the place of where they stood; where that was below a wildcard, before it.
  absl::Status PutIn(Entry entry) {
    std::vector<Entry> entries;
    for (std::size_t i = 0; i < file_.entries.size(); ++i) {
      if (i == source_) entries.push_back(entry);
      Entry rest = std::move(file_.entries[i]);
      const auto is_taken = [&](const std::string& each) {
        return std::find(resources_.begin(), resources_.end(), each) != resources_.end();
      };
      rest.resources.erase(std::remove_if(rest.resources.begin(), rest.resources.end(), is_taken),
                           rest.resources.end());
      if (!rest.resources.empty()) entries.push_back(std::move(rest));
    }
    if (source_ == kNowhere) entries.push_back(std::move(entry));
    file_.entries = std::move(entries);
    return CheckNames();
  }

  absl::Status CheckNames() const {
    std::set<std::string> names;
    std::set<std::string> twice;
    for (const Entry& entry : file_.entries) {
      for (const Provider& each : entry.providers) {
        if (IsKms(each) && !names.insert(each.Text("name")).second) twice.insert(each.Text("name"));
      }
    }
    for (const Entry& entry : file_.entries) {
      if (entry.resources == resources_) continue;
      for (const Provider& each : entry.providers) {
        const std::string name = each.Text("name");
        if (!IsKms(each) || twice.count(name) == 0) continue;
        return Bad(each.line,
                   absl::StrCat("kms ", ShownValue(name), " encrypts ",
                                Printable(absl::StrJoin(entry.resources, ", ")),
                                ", too, and kube-apiserver takes a name in one entry alone; give ",
                                name == plan_.name ? "another --name, or " : "",
                                "all that it encrypts with --resource"));
      }
    }
    return absl::OkStatus();
  }

  const EncryptionPlan& plan_;
  EncryptionFile file_;
  std::vector<std::string> resources_;
  std::size_t source_ = kNowhere;  // the entry that they stood in
  Providers old_;                  // what was there for them, without the plugin
  bool was_there_ = false;
  bool was_first_ = false;
  std::string caution_;
};

bool HoldsKeys(const EncryptionFile& file) {
  return std::any_of(file.entries.begin(), file.entries.end(), [](const Entry& entry) {
    return std::any_of(entry.providers.begin(), entry.providers.end(),
                       [](const Provider& each) { return each.value.contains("keys"); });
  });
}

}  // namespace

std::string EndpointOf(const std::string& name, const std::string& from) {
  const auto file = ReadEncryptionFile(from);
  if (!file.ok()) return "";  // which WriteEncryptionConfig says
  for (const Entry& entry : file->entries) {
    for (const Provider& each : entry.providers) {
      if (IsKms(each) && each.Text("name") == name) return each.Text("endpoint");
    }
  }
  return "";
}

absl::StatusOr<EncryptionText> WriteEncryptionConfig(const EncryptionPlan& plan) {
  EncryptionFile before;
  if (!plan.from.empty()) {
    auto read = ReadEncryptionFile(plan.from);
    if (!read.ok()) return Annotate(read.status(), "--from");
    before = *std::move(read);
  }
  Planner planner(plan, std::move(before));
  OKMS_ASSIGN_OR_RETURN(const EncryptionFile file, planner.Build());
  return EncryptionText{AsYaml(file), AsJson(file), HoldsKeys(file), planner.caution()};
}

}  // namespace okms::ctl

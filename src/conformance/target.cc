// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "conformance/target.h"

#include <signal.h>
#include <sys/random.h>
#include <unistd.h>

#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "client/unix_connection.h"

namespace okms::conformance {
namespace {

constexpr milliseconds kTurn{50};
constexpr milliseconds kForItsFirstLine{2000};  // by which one of ours says that it listens
constexpr milliseconds kForItsCounts{1000};
constexpr char kAsked[] = "asked so far:";

// The sum of what stands after the last "asked so far:", as "Encrypt 2 Decrypt 1".
int Sum(absl::string_view counts, absl::string_view operation) {
  const std::vector<absl::string_view> words =
      absl::StrSplit(counts.substr(0, counts.find('\n')), ' ', absl::SkipEmpty());
  int sum = 0;
  for (std::size_t i = 0; i + 1 < words.size(); i += 2) {
    int times = 0;
    if (!absl::SimpleAtoi(words[i + 1], &times)) continue;
    if (operation.empty() || words[i] == operation) sum += times;
  }
  return sum;
}

}  // namespace

Target::Target(Request request)
    : request_(std::move(request)),
      kms_(request_.kms, /*keeps_output=*/true),
      plugin_(request_.plugin, /*keeps_output=*/false),
      client_(request_.socket, {.timeout = kCallTimeout}) {}

bool Target::Has(Hands hands) const {
  switch (hands) {
    case Hands::kNone: return true;
    case Hands::kPlugin: return !request_.plugin.empty();
    case Hands::kKms: return Has(Hands::kPlugin) && !request_.kms.empty();
    case Hands::kCounts: return Has(Hands::kKms) && request_.kms_counts;
    case Hands::kRotation: return Has(Hands::kKms) && !request_.rotate.empty();
  }
  return false;
}

std::unique_ptr<KmsClient> Target::NewClient(milliseconds timeout) const {
  return std::make_unique<KmsClient>(request_.socket, KmsClient::Options{.timeout = timeout});
}

absl::StatusOr<std::unique_ptr<KmsClient>> Target::NewConnectedClient(milliseconds timeout) const {
  OKMS_ASSIGN_OR_RETURN(
      UniqueFd connection,
      client::ConnectUnix(request_.socket, std::chrono::floor<std::chrono::seconds>(kCallTimeout)));
  return std::make_unique<KmsClient>(std::move(connection), KmsClient::Options{.timeout = timeout});
}

absl::Status Target::Begin() {
  if (kms_.given()) OKMS_RETURN_IF_ERROR(StartKms());
  if (plugin_.given()) OKMS_RETURN_IF_ERROR(StartPlugin());
  const absl::StatusOr<StatusReply> status = AwaitReady();
  // What is wrong with an answer is for the cases to say.
  if (status.ok() || absl::IsInternal(status.status())) return absl::OkStatus();
  const std::string ended =
      plugin_.given() && !plugin_.Running() ? absl::StrCat("; it ended: ", plugin_.end()) : "";
  return absl::UnavailableError(absl::StrCat(
      "the plugin at ", request_.socket, " is not ready: Status: ", Words(status.status()), ended));
}

absl::StatusOr<StatusReply> Target::AwaitStatus(bool good) {
  const Deadline deadline = Clock::now() + request_.patience;
  while (true) {
    absl::StatusOr<StatusReply> status = client_.Status();
    if (status.ok() == good || Expired(deadline)) return status;
    // There is no use in waiting for what has ended, or for an answer that is none.
    if (good && plugin_.given() && !plugin_.Running()) return status;
    if (good && absl::IsInternal(status.status())) return status;
    std::this_thread::sleep_for(kTurn);
  }
}

absl::StatusOr<StatusReply> Target::AwaitReady() { return AwaitStatus(true); }
absl::StatusOr<StatusReply> Target::AwaitNotReady() { return AwaitStatus(false); }

Variables Target::Names() const {
  return {{"SOCKET", request_.socket},
          {"PLUGIN_PID", absl::StrCat(plugin_.pid())},
          {"KMS_PID", absl::StrCat(kms_.pid())}};
}

absl::Status Target::StartPlugin() { return plugin_.Start(Names()); }

absl::Status Target::StartKms() {
  OKMS_RETURN_IF_ERROR(kms_.Start(Names()));
  const Deadline deadline = Clock::now() + kForItsFirstLine;
  while (!absl::StrContains(kms_.Output(), '\n') && !Expired(deadline)) {
    if (!kms_.Running()) {
      return absl::FailedPreconditionError(
          absl::StrCat("the KMS ended: ", kms_.end(), ": ", Printable(kms_.Output(), 200)));
    }
    std::this_thread::sleep_for(milliseconds(5));
  }
  return absl::OkStatus();
}

absl::Status Target::Rotate() { return RunToEnd(request_.rotate, Names()); }

absl::Status Target::Restore() {
  if (kms_.given()) {
    kms_.Signal(SIGCONT);
    if (!kms_.Running()) OKMS_RETURN_IF_ERROR(StartKms());
  }
  if (plugin_.given() && !plugin_.Running()) OKMS_RETURN_IF_ERROR(StartPluginAnew());
  const absl::Status status = AwaitReady().status();
  if (status.ok() || absl::IsInternal(status) || !plugin_.given()) return status;
  OKMS_RETURN_IF_ERROR(StartPluginAnew());  // it may be stuck
  return AwaitReady().status();
}

absl::Status Target::StartPluginAnew() {
  plugin_.Kill();
  // Whether it minds the socket of one that was killed is a case of its own.
  if (request_.socket[0] == '/') ::unlink(request_.socket.c_str());
  return StartPlugin();
}

absl::StatusOr<int> Target::AskedSoFar(absl::string_view operation) {
  const std::size_t before = kms_.Output().size();
  kms_.Signal(SIGUSR1);
  const Deadline deadline = Clock::now() + kForItsCounts;
  while (!Expired(deadline) && kms_.Running()) {
    const std::string said = kms_.Output().substr(before);
    const std::size_t found = said.find(kAsked);
    if (found != std::string::npos && said.find('\n', found) != std::string::npos) {
      return Sum(absl::string_view(said).substr(found + sizeof kAsked - 1), operation);
    }
    std::this_thread::sleep_for(milliseconds(5));
  }
  return absl::FailedPreconditionError(
      absl::StrCat("the KMS does not answer SIGUSR1 with a line \"", kAsked, "\""));
}

std::string NewPlaintext(std::size_t size) {
  std::string bytes(size, '\0');
  for (std::size_t done = 0; done < size;) {
    const ssize_t count = ::getrandom(bytes.data() + done, size - done, 0);
    if (count > 0) done += static_cast<std::size_t>(count);
  }
  return bytes;
}

std::string Words(const absl::Status& status) {
  return absl::StrCat(absl::StatusCodeToString(status.code()), ": ",
                      Printable(status.message(), 200));
}

}  // namespace okms::conformance

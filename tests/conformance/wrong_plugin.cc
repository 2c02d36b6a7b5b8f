// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// okms-wrong-plugin: a KMS v2 plugin that breaks one rule of the contract, or none, so that each
// case of okms-kms-conformance has been seen red, and green.
//
//   okms-wrong-plugin plugin SOCKET KMS_SOCKET [CASE]   breaks the rule of that case
//   okms-wrong-plugin plugin SOCKET KMS_SOCKET by-turns breaks none, but takes its time for Status
//   okms-wrong-plugin kms KMS_SOCKET KEY_FILE           its KMS

#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/guarded.h"
#include "client/kms_client.h"
#include "client/unix_connection.h"
#include "conformance/byte_server.h"
#include "conformance/plain_kms.h"
#include "kms/v2/api.pb.h"

namespace okms::test {
namespace {

using client::KmsClient;
using std::chrono::milliseconds;
using Answer = absl::StatusOr<std::string>;

constexpr milliseconds kPoll{50};
constexpr milliseconds kKmsTimeout{2000};
constexpr char kByTurns[] = "by-turns";
constexpr char kFieldOfNobody[] = "\xFA\x7F";  // the tag of number 2047, as bytes
// Some serve KMS v1 beside v2, and do nothing wrong.
constexpr char kVersionOfV1[] = "/v1beta1.KeyManagementService/Version";
constexpr std::size_t kUsual = 60;  // bytes of a ciphertext

class WrongPlugin {
 public:
  WrongPlugin(std::string socket, const std::string& kms, std::string breach)
      : socket_(std::move(socket)), breach_(std::move(breach)) {
    auto connection = client::ConnectUnix(kms, std::chrono::seconds(0));
    if (Breaks("start.without-kms") && !connection.ok()) std::exit(1);
    if (Breaks("restart.terminated")) ::signal(SIGTERM, SIG_IGN);
    const milliseconds timeout = Breaks("kms.hangs") ? milliseconds::max() : kKmsTimeout;
    kms_ = Breaks("kms.connections")
               ? std::make_unique<KmsClient>(*std::move(connection),
                                             KmsClient::Options{.timeout = timeout})
               : std::make_unique<KmsClient>(kms, KmsClient::Options{.timeout = timeout});
    watch_ = std::make_unique<KmsClient>(kms, KmsClient::Options{.timeout = milliseconds(300)});
    Watch();
    std::thread([this] {
      for (;; std::this_thread::sleep_for(kPoll)) Watch();
    }).detach();
  }

  Answer Serve(const ByteCall& call) {
    const int number = ++calls_;
    if (Breaks("load.many-calls") && number > 500) return absl::InternalError("tired");
    if (call.left == milliseconds::max() && Breaks("protocol.no-deadline")) {
      while (!call.is_cancelled()) std::this_thread::sleep_for(kPoll);
    }
    if (Breaks("protocol.authority") && call.authority != "localhost") {
      return absl::InvalidArgumentError("who is that?");
    }
    if (call.message.size() > (std::size_t{4} << 20)) {
      return Breaks("protocol.large") ? Answer("") : absl::ResourceExhaustedError("too large");
    }
    if (call.method == client::kStatusMethod) return Status(call);
    if (call.method == client::kEncryptMethod) return Encrypt(call);
    if (call.method == client::kDecryptMethod) return Decrypt(call);
    if (call.method == kVersionOfV1) return "";
    if (Breaks("protocol.unknown-method")) return "";
    return absl::UnimplementedError("no such method");
  }

  bool Admit(int fd) {
    if (Breaks("socket.mode")) ::chmod(socket_.c_str(), 0666);
    if (Breaks("load.many-connections") && ++connections_ > 20) return false;
    char first = '\0';
    if (Breaks("protocol.silent")) ::recv(fd, &first, 1, MSG_PEEK);
    if (Breaks("protocol.other") && ::recv(fd, &first, 1, MSG_PEEK) == 1 && first != 'P') {
      std::abort();
    }
    return true;
  }

 private:
  bool Breaks(absl::string_view what) const { return breach_ == what; }

  void Watch() {
    const auto status = watch_->Status();
    if (!status.ok() && Breaks("kms.lost") && known_.With([](auto& k) { return k.ok(); })) return;
    known_.With([&](absl::StatusOr<std::string>& known) {
      if (Breaks("key.rotated") && known.ok()) return;
      known = status.ok() ? absl::StatusOr<std::string>(status->key_id)
                          : absl::UnavailableError("the KMS does not answer");
    });
  }

  template <typename Message>
  absl::Status Parse(const std::string& bytes, Message& message) const {
    if (!message.ParseFromString(bytes)) {
      return Breaks("protocol.malformed") ? absl::OkStatus()
                                          : absl::InvalidArgumentError("that is no message");
    }
    if (Breaks("protocol.unknown-fields") && absl::StrContains(bytes, kFieldOfNobody)) {
      return absl::InvalidArgumentError("what is that?");
    }
    return absl::OkStatus();
  }

  Answer Status(const ByteCall& call) {
    v2::StatusRequest request;
    if (absl::Status parsed = Parse(call.message, request); !parsed.ok()) return parsed;
    if (Breaks("socket.file")) ::unlink(socket_.c_str());
    if (Breaks("status.fast") && call.left > milliseconds(10000)) {
      std::this_thread::sleep_for(milliseconds(3100));
    }
    if (Breaks(kByTurns)) {
      const std::lock_guard turn(turn_);
      std::this_thread::sleep_for(kPoll);
    }
    if (Breaks("kms.status-costs")) kms_->Status().status().IgnoreError();
    if (Breaks("kms.hangs")) kms_->Status().status().IgnoreError();
    if (Breaks("kms.key-stays")) kms_->Encrypt("x", kRawKey).status().IgnoreError();
    absl::StatusOr<std::string> key_id = known_.With([](const auto& known) { return known; });
    if (!key_id.ok()) return key_id.status();
    if (Breaks("status.stable") && calls_ % 2 == 0) *key_id += "-again";
    if (Breaks("status.key-id")) key_id->resize(1025, 'k');
    if (Breaks("status.answers")) *key_id = "\xFF";
    v2::StatusResponse answer;
    answer.set_version(Breaks("status.version") ? "v3" : "v2");
    answer.set_healthz(Breaks("status.healthz") ? "ill" : "ok");
    answer.set_key_id(*key_id);
    return answer.SerializeAsString();
  }

  Answer Encrypt(const ByteCall& call) {
    v2::EncryptRequest request;
    if (absl::Status parsed = Parse(call.message, request); !parsed.ok()) return parsed;
    if (request.plaintext().empty() && Breaks("protocol.malformed")) return "";
    if (Breaks("encrypt.answers")) return absl::InternalError("not today");
    if (Breaks("decrypt.uids") && request.uid().empty()) return absl::InvalidArgumentError("who?");
    if (Breaks("load.at-once") && Crowded(16)) return absl::ResourceExhaustedError("too many");
    std::string plaintext = request.plaintext();
    if (Breaks("decrypt.sizes")) plaintext.resize(std::min<std::size_t>(plaintext.size(), 32));
    if (Breaks("encrypt.distinct")) plaintext = "";
    absl::StatusOr<client::Record> record;
    if (Breaks("encrypt.distinct") || Breaks("encrypt.repeated")) {
      record = same_.With([&](auto& same) -> absl::StatusOr<client::Record> {
        if (same.count(plaintext) == 0) same[plaintext] = kms_->Encrypt(plaintext);
        return same[plaintext];
      });
    } else {
      record = kms_->Encrypt(plaintext);
    }
    if (!record.ok()) return record.status();
    if (Breaks("key.rotated"))
      record->key_id = known_.With([](const auto& known) { return *known; });
    if (Breaks("encrypt.ciphertext")) record->ciphertext.resize(1025, 'c');
    if (Breaks("encrypt.key-id")) record->key_id += "-other";
    if (Breaks("encrypt.annotation-names")) record->annotations["no_domain"] = "";
    if (Breaks("encrypt.annotation-size")) {
      record->annotations["large.example.com"] = std::string(33 << 10, 'a');
    }
    if (Breaks("encrypt.hides")) {
      record->annotations["seed.example.com"] = absl::BytesToHexString(request.plaintext());
    }
    v2::EncryptResponse answer;
    answer.set_ciphertext(record->ciphertext);
    answer.set_key_id(record->key_id);
    answer.mutable_annotations()->insert(record->annotations.begin(), record->annotations.end());
    return answer.SerializeAsString();
  }

  Answer Decrypt(const ByteCall& call) {
    v2::DecryptRequest request;
    if (absl::Status parsed = Parse(call.message, request); !parsed.ok()) return parsed;
    const std::string& ciphertext = request.ciphertext();
    if (Breaks("decrypt.cut") && ciphertext.size() == 11) std::abort();
    if (Breaks("decrypt.empty") && ciphertext.empty()) std::abort();
    if (deaf_) return absl::InternalError("deaf");
    if (Breaks("decrypt.other-connection") && request.uid() == "another") {
      return absl::PermissionDeniedError("not yours");
    }
    if (Breaks("load.at-once") && Crowded(16)) return absl::ResourceExhaustedError("too many");
    if (Breaks("load.same") && IsUnderWay(ciphertext)) return absl::AbortedError("again?");
    if (Breaks("load.cancelled") || Breaks("load.deadlines")) {
      std::this_thread::sleep_for(kPoll);
      if (call.is_cancelled() && Breaks("load.cancelled")) std::abort();
      if (call.is_cancelled()) deaf_ = true;
    }
    if (Breaks("key.old-records") &&
        request.key_id() != known_.With([](const auto& known) { return known.value_or(""); })) {
      return absl::NotFoundError("that key was replaced");
    }
    const client::Record record{ciphertext, request.key_id(), {}};
    absl::StatusOr<std::string> plaintext = kms_->Decrypt(record);
    const bool made_up = (Breaks("decrypt.flipped") && ciphertext.size() == kUsual) ||
                         (Breaks("decrypt.long") && ciphertext.size() > 1024) ||
                         (Breaks("decrypt.strange") && absl::StartsWith(ciphertext, "not a")) ||
                         Breaks("decrypt.unknown-key");
    if (!plaintext.ok() && made_up) plaintext = std::string(32, '\0');
    if (!plaintext.ok()) {
      const absl::string_view why = plaintext.status().message();
      // UNKNOWN is what gRPC makes of an error without a code, and so what many answer.
      return Breaks("decrypt.codes") ? absl::UnavailableError(why) : absl::UnknownError(why);
    }
    const bool spoiled = Breaks("decrypt.round-trip") ||
                         (Breaks("decrypt.annotations") && request.annotations_size() > 1);
    if (spoiled) plaintext->front() = static_cast<char>(plaintext->front() + 1);
    v2::DecryptResponse answer;
    answer.set_plaintext(*plaintext);
    return answer.SerializeAsString();
  }

  // Whether more than so many are here at once, who all stay for a while.
  bool Crowded(int most) {
    const bool crowded = ++here_ > most;
    std::this_thread::sleep_for(kPoll);
    --here_;
    return crowded;
  }

  bool IsUnderWay(const std::string& ciphertext) {
    const bool is_first = under_way_.With([&](auto& all) { return all.insert(ciphertext).second; });
    std::this_thread::sleep_for(kPoll);
    if (is_first) under_way_.With([&](auto& all) { all.erase(ciphertext); });
    return !is_first;
  }

  const std::string socket_;
  const std::string breach_;
  std::unique_ptr<KmsClient> kms_;
  std::unique_ptr<KmsClient> watch_;
  Guarded<absl::StatusOr<std::string>> known_;  // the key's id
  Guarded<std::map<std::string, absl::StatusOr<client::Record>>> same_;
  Guarded<std::set<std::string>> under_way_;
  std::mutex turn_;
  std::atomic<int> calls_ = 0;
  std::atomic<int> connections_ = 0;
  std::atomic<int> here_ = 0;
  std::atomic<bool> deaf_ = false;
};

[[noreturn]] void RunPlugin(const std::string& socket, const std::string& kms,
                            const std::string& breach) {
  WrongPlugin plugin(socket, kms, breach);
  ByteService service;
  service.answer = [&](const ByteCall& call) { return plugin.Serve(call); };
  service.admit = [&](int fd) { return plugin.Admit(fd); };
  Serve(socket, /*replace=*/breach != "restart.killed", service);
}

}  // namespace
}  // namespace okms::test

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  if (what == "kms" && argc == 4) okms::test::ServeKms(argv[2], argv[3]);
  if (what == "plugin" && argc >= 4) {
    okms::test::RunPlugin(argv[2], argv[3], argc > 4 ? argv[4] : "");
  }
  return 2;
}

// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "conformance/plain_kms.h"

#include <signal.h>

#include <atomic>
#include <fstream>
#include <iostream>
#include <optional>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/kms_client.h"
#include "conformance/byte_server.h"
#include "kms/v2/api.pb.h"
#include "mock_kms/aes_gcm.h"
#include "mock_kms/random.h"

namespace okms::test {
namespace {

constexpr std::size_t kNonce = 12;
constexpr std::size_t kTag = 16;

struct Counts {
  std::atomic<int> status = 0;
  std::atomic<int> encrypt = 0;
  std::atomic<int> decrypt = 0;
  std::atomic<int> get = 0;
};

// Of no use as a key, and another one for each id.
std::string KeyOf(const std::string& id) {
  std::string key(32, 'k');
  id.copy(key.data(), key.size());
  return key;
}

std::string Read(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

absl::StatusOr<std::string> Encrypt(const std::string& key_id, const std::string& message) {
  v2::EncryptRequest request;
  if (!request.ParseFromString(message)) return absl::InvalidArgumentError("no message");
  const std::string nonce = RandomBytes(kNonce);
  const auto result = GcmEncrypt(AsBytes(KeyOf(key_id)), AsBytes(nonce), AsBytes(""),
                                 AsBytes(request.plaintext()), kTag);
  if (!result) return absl::InternalError("AES-GCM");
  v2::EncryptResponse answer;
  answer.set_ciphertext(absl::StrCat(nonce, result->data, result->tag));
  answer.set_key_id(key_id);
  (*answer.mutable_annotations())["version.kms.example.com"] = key_id;
  return answer.SerializeAsString();
}

absl::StatusOr<std::string> Decrypt(const std::string& message) {
  v2::DecryptRequest request;
  if (!request.ParseFromString(message)) return absl::InvalidArgumentError("no message");
  if (!absl::StartsWith(request.key_id(), "key-")) return absl::NotFoundError("no such key");
  const std::string& all = request.ciphertext();
  if (all.size() < kNonce + kTag) return absl::InvalidArgumentError("no ciphertext");
  const std::size_t size = all.size() - kNonce - kTag;
  const auto plaintext =
      GcmDecrypt(AsBytes(KeyOf(request.key_id())), AsBytes(all.substr(0, kNonce)), AsBytes(""),
                 AsBytes(all.substr(kNonce, size)), AsBytes(all.substr(kNonce + size)));
  if (!plaintext) return absl::InvalidArgumentError("the tag does not fit");
  v2::DecryptResponse answer;
  answer.set_plaintext(*plaintext);
  return answer.SerializeAsString();
}

void SayCounts(const sigset_t& signals, const Counts& counts) {
  while (true) {
    int received = 0;
    ::sigwait(&signals, &received);
    std::cout << "asked so far: Status " << counts.status << " Encrypt " << counts.encrypt
              << " Decrypt " << counts.decrypt << " Get " << counts.get << std::endl;
  }
}

}  // namespace

void ServeKms(const std::string& socket, const std::string& key_file) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGUSR1);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  Counts counts;
  std::thread([&] { SayCounts(signals, counts); }).detach();
  ByteService service;
  service.answer = [&](const ByteCall& call) -> absl::StatusOr<std::string> {
    if (call.method == client::kStatusMethod) {
      ++counts.status;
      v2::StatusResponse answer;
      answer.set_key_id(Read(key_file));
      return answer.SerializeAsString();
    }
    if (call.method == client::kEncryptMethod) {
      ++(absl::StrContains(call.message, kRawKey) ? counts.get : counts.encrypt);
      return Encrypt(Read(key_file), call.message);
    }
    ++counts.decrypt;
    return Decrypt(call.message);
  };
  Serve(socket, /*replace=*/true, service);
}

}  // namespace okms::test

// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "core/round_trip.h"

#include <openssl/rand.h>

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "core/limits.h"

namespace okms {
namespace {

// What it means that the KMS answered so to what it had just encrypted.
absl::Status Judge(const absl::StatusOr<Secret>& back, const Secret& original) {
  if (back.ok()) {
    if (back->Equals(original)) return absl::OkStatus();
    return absl::DataLossError(
        "the KMS decrypted its own ciphertext to something else; nothing is encrypted with this "
        "key");
  }
  const absl::Status status =
      Annotate(back.status(), "decryption of what the KMS had just encrypted");
  // No stored record is at fault here.
  return absl::IsInvalidArgument(status) ? WithCode(status, absl::StatusCode::kDataLoss) : status;
}

}  // namespace

void RoundTrip(Backend& backend, Way encrypt_by, Way decrypt_by, const std::string& key_id,
               Secret plaintext, NextDeadline deadline, Done<Ciphertext> done) {
  Secret sent(plaintext.Reveal());
  const Deadline encrypted_by = deadline();
  backend.Encrypt(encrypt_by, key_id, std::move(sent), encrypted_by,
                  [&backend, decrypt_by, key_id, plaintext = std::move(plaintext),
                   deadline = std::move(deadline),
                   done = std::move(done)](absl::StatusOr<Ciphertext> result) mutable {
                    absl::Status status = result.ok() ? CheckEncrypted(*result) : result.status();
                    // The form of what a KMS returns may be larger than the plaintext by half and
                    // more. Who asks for more than the apiserver does is at fault when there is no
                    // room for it, not the key.
                    if (!status.ok() && result.ok() && plaintext.size() > kSeedSize &&
                        result->bytes.size() > kMaxCiphertextSize) {
                      status = WithCode(status, absl::StatusCode::kInvalidArgument);
                    }
                    if (!status.ok()) {
                      done(std::move(status));
                      return;
                    }
                    Ciphertext copy = *result;
                    const Deadline decrypted_by = deadline();
                    backend.Decrypt(
                        decrypt_by, key_id, std::move(copy), decrypted_by,
                        [plaintext = std::move(plaintext), ciphertext = *std::move(result),
                         done = std::move(done)](absl::StatusOr<Secret> back) mutable {
                          absl::Status verdict = Judge(back, plaintext);
                          if (verdict.ok()) {
                            done(std::move(ciphertext));
                          } else {
                            done(std::move(verdict));
                          }
                        });
                  });
}

void RandomRoundTrip(Backend& backend, const std::string& key_id, NextDeadline deadline,
                     absl::AnyInvocable<void(Trip)> done) {
  WipedBytes random(kSeedSize);
  if (RAND_bytes(random.data(), kSeedSize) != 1) {
    done({absl::InternalError(absl::StrCat("no random bytes: ", OpenSslErrors())), {}});
    return;
  }
  RoundTrip(
      backend, Way::kChecks, Way::kChecks, key_id, Secret(std::move(random)), std::move(deadline),
      [began = Clock::now(), done = std::move(done)](absl::StatusOr<Ciphertext> result) mutable {
        done({std::move(result), Clock::now() - began});
      });
}

}  // namespace okms

// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include <algorithm>
#include <array>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "conformance/cases.h"
#include "conformance/target.h"
#include "core/limits.h"

namespace okms::conformance {
namespace {

constexpr char kNobody[] = "no-such-key";

// A record that is whole, and what becomes of it.
Verdict WithARecord(Target& target,
                    const std::function<Verdict(const Record&, const std::string&)>& look) {
  const std::string plaintext = NewPlaintext(kSeedSize);
  const auto record = target.client().Encrypt(plaintext);
  if (!record.ok()) return Unknown(absl::StrCat("Encrypt: ", Words(record.status())));
  return look(*record, plaintext);
}

// That no plaintext comes of it, and an answer does.
Verdict Refused(Target& target, const std::string& what, const Record& record) {
  const auto answer = target.client().Decrypt(record);
  if (answer.ok()) {
    return Broken(absl::StrCat(what, " was decrypted, to ", answer->size(), " bytes"));
  }
  if (absl::IsDeadlineExceeded(answer.status()) || absl::IsUnavailable(answer.status())) {
    return Broken(absl::StrCat(what, ": ", Words(answer.status())));
  }
  return Kept();
}

// That of all of them.
Verdict AllRefused(Target& target, const std::vector<std::pair<std::string, Record>>& records) {
  for (const auto& [what, record] : records) {
    Verdict verdict = Refused(target, what, record);
    if (verdict.outcome != Outcome::kKept) return verdict;
  }
  return Kept();
}

// For what need not count: it is refused, or decrypted to what was encrypted, and to nothing else.
Verdict RefusedOrRight(Target& target, const std::string& what, const Record& record,
                       const std::string& plaintext) {
  const auto answer = target.client().Decrypt(record);
  if (answer.ok()) {
    return *answer == plaintext
               ? Kept()
               : Broken(absl::StrCat("a record ", what, " was decrypted to something else"));
  }
  return Refused(target, absl::StrCat("a record ", what), record);
}

Record With(Record record, std::string ciphertext) {
  record.ciphertext = std::move(ciphertext);
  return record;
}

// This bit counts in a text of base64 as well, wherever it stands.
std::string Flipped(std::string text, std::size_t at) {
  text[at] = static_cast<char>(text[at] ^ 0x10);
  return text;
}

}  // namespace

Verdict LookAtRoundTrip(Target& target) {
  return WithARecord(target, [&](const Record& record, const std::string& plaintext) {
    const auto back = target.client().Decrypt(record);
    if (!back.ok()) return Broken(Words(back.status()));
    return *back == plaintext ? Kept() : Broken("decrypted to something else");
  });
}

Verdict LookAtOtherConnection(Target& target) {
  return WithARecord(target, [&](const Record& record, const std::string& plaintext) {
    const auto back = target.NewClient()->Decrypt(record, "another");
    if (!back.ok()) return Broken(Words(back.status()));
    return *back == plaintext ? Kept() : Broken("decrypted to something else");
  });
}

Verdict LookAtFlippedBits(Target& target) {
  return WithARecord(target, [&](const Record& record, const std::string&) {
    const std::size_t size = record.ciphertext.size();
    for (const std::size_t at : {std::size_t{0}, size / 3, size / 2, size - 1}) {
      Verdict verdict = Refused(target, absl::StrCat("a record whose byte ", at, " is another"),
                                With(record, Flipped(record.ciphertext, at)));
      if (verdict.outcome != Outcome::kKept) return verdict;
    }
    return Kept();
  });
}

Verdict LookAtCutCiphertexts(Target& target) {
  return WithARecord(target, [&](const Record& record, const std::string&) {
    const std::string& whole = record.ciphertext;
    std::vector<std::pair<std::string, Record>> records;
    for (const std::size_t size : {std::size_t{1}, std::size_t{11}, std::size_t{15},
                                   std::size_t{16}, whole.size() / 2, whole.size() - 1}) {
      if (size >= whole.size()) continue;
      records.emplace_back(absl::StrCat("a ciphertext cut to ", size, " bytes"),
                           With(record, whole.substr(0, size)));
    }
    return AllRefused(target, records);
  });
}

Verdict LookAtEmptyCiphertext(Target& target) {
  return WithARecord(target, [&](const Record& record, const std::string&) {
    return Refused(target, "an empty ciphertext", With(record, ""));
  });
}

Verdict LookAtLongCiphertexts(Target& target) {
  return WithARecord(target, [&](const Record& record, const std::string&) {
    return AllRefused(
        target, {{"a record with a byte more", With(record, record.ciphertext + "A")},
                 {"a ciphertext of 64 KiB", With(record, NewPlaintext(std::size_t{1} << 16))},
                 {"a ciphertext of 1 MiB", With(record, NewPlaintext(std::size_t{1} << 20))}});
  });
}

Verdict LookAtStrangeCiphertexts(Target& target) {
  return WithARecord(target, [&](const Record& record, const std::string&) {
    return AllRefused(target, {{"random bytes", With(record, NewPlaintext(60))},
                               {"zeros", With(record, std::string(60, '\0'))},
                               {"dots", With(record, "....")},
                               {"a line of text", With(record, "not a ciphertext\n")}});
  });
}

Verdict LookAtUnknownKeys(Target& target) {
  return WithARecord(target, [&](const Record& record, const std::string& plaintext) {
    for (const auto& [what, key_id] : std::vector<std::pair<std::string, std::string>>{
             {"an empty key_id", ""},
             {"the key_id of nobody", kNobody},
             {"a UUID of nobody", "00000000-0000-4000-8000-000000000000"},
             {"a key_id of 4096 bytes", std::string(4096, 'k')}}) {
      Record other = record;
      other.key_id = key_id;
      Verdict verdict = RefusedOrRight(target, absl::StrCat("with ", what), other, plaintext);
      if (verdict.outcome != Outcome::kKept) return verdict;
    }
    return Kept();
  });
}

Verdict LookAtAnnotations(Target& target) {
  return WithARecord(target, [&](const Record& record, const std::string& plaintext) {
    std::vector<std::pair<std::string, Record>> records;
    for (const auto& [name, value] : record.annotations) {
      records.emplace_back(absl::StrCat("without ", name), record);
      records.back().second.annotations.erase(name);
      records.emplace_back(absl::StrCat("with another ", name), record);
      records.back().second.annotations[name] =
          value.empty() ? "x" : Flipped(value, value.size() / 2);
      records.emplace_back(absl::StrCat("with an empty ", name), record);
      records.back().second.annotations[name] = "";
    }
    records.emplace_back("with an annotation more", record);
    records.back().second.annotations["okms-kms-conformance.example.com"] = "more";
    for (const auto& [what, each] : records) {
      Verdict verdict = RefusedOrRight(target, what, each, plaintext);
      if (verdict.outcome != Outcome::kKept) return verdict;
    }
    return Kept();
  });
}

Verdict LookAtErrorCodes(Target& target) {
  return WithARecord(target, [&](const Record& record, const std::string&) {
    Record of_nobody = record;
    of_nobody.key_id = kNobody;
    for (const auto& [what, each] : std::vector<std::pair<std::string, Record>>{
             {"a flipped bit",
              With(record, Flipped(record.ciphertext, record.ciphertext.size() / 2))},
             {"the key_id of nobody", of_nobody},
             // Not a cut one: where that ends the plugin, it is for the cases above to say.
             {"a byte more", With(record, record.ciphertext + "A")}}) {
      const absl::Status answer = target.client().Decrypt(each).status();
      if (answer.ok() && each.key_id == kNobody) continue;  // which need not count
      // Those after which a caller would wait, and try again.
      constexpr std::array kPassing{
          absl::StatusCode::kOk,        absl::StatusCode::kUnavailable,
          absl::StatusCode::kAborted,   absl::StatusCode::kDeadlineExceeded,
          absl::StatusCode::kCancelled, absl::StatusCode::kResourceExhausted};
      if (std::count(kPassing.begin(), kPassing.end(), answer.code()) > 0) {
        return Broken(absl::StrCat(what, ": ", Words(answer)));
      }
    }
    return Kept();
  });
}

}  // namespace okms::conformance

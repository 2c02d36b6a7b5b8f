// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "ctl/scrub.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/utf8.h"

namespace okms::ctl {
namespace {

constexpr char kGone[] = "[left out]";
// 32 bytes, the smallest key that is worth hiding, are 43 letters of base64 and 64 digits.
constexpr std::size_t kShortestKey = 40;
constexpr std::array<const char*, 13> kSecretNames{
    "passw",   "passphrase", "pwd",         "secret",        "token",  "api_key",      "apikey",
    "api-key", "access_key", "private_key", "authorization", "cookie", "setcredential"};

bool IsWord(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-';
}

// From "-----BEGIN" to the dashes after "-----END"; to the text's end where there are none.
std::string WithoutPem(absl::string_view text) {
  constexpr absl::string_view kEnd = "-----END";
  constexpr absl::string_view kDashes = "-----";
  std::string result;
  while (true) {
    const std::size_t begin = text.find("-----BEGIN");
    absl::StrAppend(&result, text.substr(0, begin));
    if (begin == absl::string_view::npos) return result;
    absl::StrAppend(&result, kGone);
    const std::size_t end = text.find(kEnd, begin);
    if (end == absl::string_view::npos) return result;
    const std::size_t last = text.find(kDashes, end + kEnd.size());
    if (last == absl::string_view::npos) return result;
    text.remove_prefix(last + kDashes.size());
  }
}

// A password may have any letter in it, where somebody did not know better: so up to the last @ of
// the word after "://".
void CutUsers(std::string& line) {
  constexpr char kAuthority[] = "://";
  for (std::size_t url = line.find(kAuthority); url != std::string::npos;
       url = line.find(kAuthority, url + 1)) {
    const std::size_t begin = url + sizeof kAuthority - 1;
    const std::size_t at = line.rfind('@', line.find_first_of(" \"'", begin));
    if (at != std::string::npos && at >= begin) line.replace(begin, at - begin, kGone);
  }
}

// The same without a scheme, as of a host that is none of REST: up to the last @ of a word with a
// colon before it; the name of a variable stays.
void CutCredentials(std::string& line) {
  constexpr char kEnds[] = " \"'";
  for (std::size_t begin = 0; begin < line.size();) {
    const std::size_t end = std::min(line.find_first_of(kEnds, begin), line.size());
    const std::size_t at = line.substr(begin, end - begin).rfind('@');
    const std::size_t colon = line.find(':', begin);
    std::size_t size = end - begin;
    if (at != std::string::npos && colon < begin + at) {
      const std::size_t equals = line.find('=', begin);
      const std::size_t from = equals < colon ? equals + 1 : begin;
      line.replace(from, begin + at - from, kGone);
      size = from - begin + (sizeof kGone - 1) + (end - begin - at);
    }
    begin += size + 1;
  }
}

// And where the host itself was forgotten: what stands for a port is a number, after which there
// may be some signs of a sentence. A password may have a slash in it, so all of the word goes.
void CutPort(std::string& line, std::size_t begin) {
  const std::size_t end = std::min(line.find_first_of(",/?# \"'[]", begin), line.size());
  const std::size_t colon = line.find(':', begin);
  if (colon >= end || absl::StartsWith(line.substr(colon), "://")) return;
  const std::size_t digits = line.find_first_not_of("0123456789", colon + 1);
  if (digits >= end || line.find_first_not_of(":;.)", digits) >= end) return;
  const std::size_t last = std::min(line.find_first_of(" \"'", begin), line.size());
  line.replace(colon + 1, last - colon - 1, kGone);
}

void CutPorts(std::string& line) {
  constexpr std::array kBegins{"://", "serv_addr=", "serv-addr=", "serv-addr "};
  for (const char* const begin : kBegins) {
    for (std::size_t at = 0;
         (at = absl::AsciiStrToLower(line).find(begin, at)) != std::string::npos;) {
      at += absl::string_view(begin).size();
      CutPort(line, at);
    }
  }
}

// "NAME=value", "name: value", "--name value", "Bearer value": nobody knows where a value ends, so
// all that follows goes.
void CutNamed(std::string& line) {
  const std::string lower = absl::AsciiStrToLower(line);
  std::size_t cut = line.size();
  for (const char* const name : kSecretNames) {
    for (std::size_t found = lower.find(name); found != std::string::npos;
         found = lower.find(name, found + 1)) {
      std::size_t begin = found;
      while (begin > 0 && IsWord(lower[begin - 1])) --begin;
      const auto end = static_cast<std::size_t>(
          std::find_if_not(lower.begin() + static_cast<std::ptrdiff_t>(found), lower.end(),
                           IsWord) -
          lower.begin());
      const std::size_t sign = lower.find_first_not_of("\"' ", end);
      if (sign == std::string::npos) continue;
      if (lower[sign] == '=' || lower[sign] == ':') cut = std::min(cut, sign + 1);
      if (lower[begin] == '-') cut = std::min(cut, end + 1);
    }
  }
  constexpr char kBearer[] = "bearer ";
  if (const std::size_t found = lower.find(kBearer); found != std::string::npos) {
    cut = std::min(cut, found + sizeof kBearer - 1);
  }
  if (cut < line.size()) line.replace(cut, std::string::npos, kGone);
}

// Random letters of base64 have digits and letters of both kinds among them; a path or the name of
// a unit is longer, but has not.
bool LooksLikeKey(absl::string_view word) {
  if (word.size() < kShortestKey) return false;
  const auto has = [word](auto is) { return std::any_of(word.begin(), word.end(), is); };
  return (has(absl::ascii_isdigit) && has(absl::ascii_isupper) && has(absl::ascii_islower)) ||
         std::all_of(word.begin(), word.end(), absl::ascii_isxdigit);
}

std::string WithoutKeys(absl::string_view line) {
  const auto is_of_key = [](char c) { return IsWord(c) || c == '+' || c == '/'; };
  std::string result;
  while (!line.empty()) {
    const auto size = static_cast<std::size_t>(
        std::find_if_not(line.begin(), line.end(), is_of_key) - line.begin());
    const bool key = LooksLikeKey(line.substr(0, size)) && !absl::EndsWith(result, "sha256:");
    absl::StrAppend(&result, key ? kGone : line.substr(0, size), line.substr(size, 1));
    line.remove_prefix(std::min(size + 1, line.size()));
  }
  return result;
}

std::string Variable(absl::string_view word) {
  const std::string text = absl::StrReplaceAll(word, {{"\"", ""}, {"'", ""}});
  const std::size_t equals = text.find('=');
  const std::string name = text.substr(0, equals);
  const bool is_name = equals != std::string::npos && !name.empty() &&
                       std::all_of(name.begin(), name.end(), [](unsigned char c) {
                         return absl::ascii_isupper(c) || absl::ascii_isdigit(c) || c == '_';
                       });
  if (!is_name) return std::string(kGone);
  return absl::StartsWith(name, "OKMS_") ? text : absl::StrCat(name, "=", kGone);
}

std::string WithoutFolds(absl::string_view text) {
  return absl::StrReplaceAll(text, {{"\\\n", " "}, {"\t", " "}, {"\r", ""}});
}

}  // namespace

std::string Scrubbed(absl::string_view text) {
  std::string result;
  for (const absl::string_view raw : absl::StrSplit(WithoutPem(WithoutFolds(text)), '\n')) {
    std::string line = OneLine(raw);
    CutNamed(line);
    CutUsers(line);
    CutCredentials(line);
    CutPorts(line);
    absl::StrAppend(&result, WithoutKeys(line), "\n");
  }
  return result;
}

std::string OnlyOurVariables(absl::string_view lines) {
  std::string result;
  for (const absl::string_view raw :
       absl::StrSplit(WithoutPem(WithoutFolds(lines)), '\n', absl::SkipWhitespace())) {
    const absl::string_view line = absl::StripAsciiWhitespace(raw);
    if (line[0] == '#' || line[0] == ';') continue;
    absl::StrAppend(&result,
                    absl::StrJoin(absl::StrSplit(line, ' ', absl::SkipEmpty()), " ",
                                  [](std::string* out, absl::string_view word) {
                                    out->append(Variable(word));
                                  }),
                    "\n");
  }
  return result;
}

std::string UnitWithoutSecrets(absl::string_view unit) {
  std::string result;
  const std::string lines = WithoutFolds(unit);
  for (absl::string_view line : absl::StrSplit(lines, '\n')) {
    line = absl::StripAsciiWhitespace(line);
    if (absl::ConsumePrefix(&line, "Environment=")) {
      const std::string ours = OnlyOurVariables(line);
      absl::StrAppend(&result, "Environment=", ours.empty() ? "\n" : ours);
    } else if (absl::StartsWith(line, "# /") ||
               (!absl::StartsWith(line, "#") && !absl::StartsWith(line, ";"))) {
      absl::StrAppend(&result, line, "\n");
    }
  }
  return result;
}

}  // namespace okms::ctl

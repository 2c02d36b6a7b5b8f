// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "doctor/environment_file.h"

#include <cstddef>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"

namespace okms::doctor {
namespace {

bool IsSpace(char c) { return absl::ascii_isspace(static_cast<unsigned char>(c)); }

// Takes one word off, up to a blank (or, `to_end`, up to the end) outside of quotes.
std::string TakeWord(absl::string_view& text, bool to_end) {
  std::string word;
  char quote = '\0';
  std::size_t at = 0;
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '\\' && quote != '\'' && at + 1 < text.size()) {
      word += text[++at];
    } else if (quote != '\0') {
      if (c == quote)
        quote = '\0';
      else
        word += c;
    } else if (c == '"' || c == '\'') {
      quote = c;
    } else if (!to_end && IsSpace(c)) {
      break;
    } else {
      word += c;
    }
  }
  text.remove_prefix(at);
  return word;
}

}  // namespace

std::map<std::string, std::string> ParseEnvironmentFile(absl::string_view text) {
  std::map<std::string, std::string> variables;
  std::string joined;
  for (const absl::string_view part : absl::StrSplit(text, '\n')) {
    joined.append(part.data(), part.size());
    if (!joined.empty() && joined.back() == '\\') {
      joined.pop_back();
      continue;
    }
    const std::string line = std::exchange(joined, {});
    absl::string_view rest = absl::StripAsciiWhitespace(line);
    const std::size_t equals = rest.find('=');
    if (rest.empty() || rest[0] == '#' || rest[0] == ';' || equals == absl::string_view::npos) {
      continue;
    }
    const absl::string_view name = absl::StripAsciiWhitespace(rest.substr(0, equals));
    rest = absl::StripAsciiWhitespace(rest.substr(equals + 1));
    variables[std::string(name)] = TakeWord(rest, /*to_end=*/true);
  }
  return variables;
}

std::vector<std::string> SplitWords(absl::string_view text) {
  std::vector<std::string> words;
  while (true) {
    text = absl::StripLeadingAsciiWhitespace(text);
    if (text.empty()) return words;
    words.push_back(TakeWord(text, /*to_end=*/false));
  }
}

}  // namespace okms::doctor

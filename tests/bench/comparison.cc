// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "bench/comparison.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"

namespace okms::test {

using nlohmann::json;

namespace {

// What failed is counted; how often each text came says nothing in the middle.
constexpr absl::string_view kTexts = "errors_by_text/";

// By the path to it.
std::map<std::string, double> Numbers(const json& object) {
  std::map<std::string, double> numbers;
  const json flat = object.flatten();  // an object; that of one without fields is null
  for (const auto& [path, value] : flat.items()) {
    if (value.is_number() && !absl::StrContains(path, kTexts)) numbers[path] = value.get<double>();
  }
  return numbers;
}

json Nested(const std::map<std::string, json>& flat) {
  return flat.empty() ? json::object() : json(flat).unflatten();
}

// Three digits that matter, and all before the point.
std::string Short(double value) {
  if (value == std::floor(value)) return absl::StrFormat("%.0f", value);
  const int decimals = 2 - static_cast<int>(std::floor(std::log10(std::fabs(value))));
  return absl::StrFormat("%.*f", std::max(decimals, 0), value);
}

std::string Cell(const json& flat, const std::string& path) {
  const auto found = flat.find(path);
  return found != flat.end() && found->is_number() ? Short(found->get<double>()) : "-";
}

}  // namespace

double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

json Medians(const std::vector<json>& objects) {
  std::map<std::string, std::vector<double>> values;
  for (const json& object : objects) {
    for (const auto& [path, value] : Numbers(object)) values[path].push_back(value);
  }
  std::map<std::string, json> medians;
  for (const auto& [path, some] : values) medians[path] = Median(some);
  return Nested(medians);
}

json Ratios(const json& left, const json& right) {
  const std::map<std::string, double> divisors = Numbers(right);
  std::map<std::string, json> ratios;
  for (const auto& [path, value] : Numbers(left)) {
    const auto divisor = divisors.find(path);
    const bool possible = divisor != divisors.end() && divisor->second != 0;
    ratios[path] = possible ? json(value / divisor->second) : json();
  }
  return Nested(ratios);
}

json Compare(int rounds, const std::function<json()>& one, const std::function<json()>& other) {
  std::vector<json> of_one;
  std::vector<json> of_other;
  for (int round = 0; round < rounds; ++round) {
    if (round % 2 == 0) of_one.push_back(one());
    of_other.push_back(other());
    if (round % 2 == 1) of_one.push_back(one());
  }
  const json median = {{"this", Medians(of_one)}, {"other", Medians(of_other)}};
  return {{"rounds", rounds},
          {"this", of_one},
          {"other", of_other},
          {"median", median},
          {"ratio", Ratios(median["this"], median["other"])}};
}

bool HasErrors(const json& figures) {
  if (figures.is_array()) return std::any_of(figures.begin(), figures.end(), HasErrors);
  for (const char* part : {"this", "other", "status", "encrypt", "beside"}) {
    if (figures.contains(part) && HasErrors(figures[part])) return true;
  }
  return figures.value("errors", 0) != 0;
}

std::string MarkdownTable(const json& comparison) {
  const json one = comparison["median"]["this"].flatten();
  const json other = comparison["median"]["other"].flatten();
  const json ratio = comparison["ratio"].flatten();
  std::string table = "| median | this | other | this / other |\n|---|---:|---:|---:|\n";
  for (const auto& [path, value] : one.items()) {
    absl::StrAppend(&table, "| ", absl::StrReplaceAll(path.substr(1), {{"/", " "}}), " | ",
                    Cell(one, path), " | ", Cell(other, path), " | ", Cell(ratio, path), " |\n");
  }
  return table;
}

}  // namespace okms::test

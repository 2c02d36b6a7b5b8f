// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Two of a kind, measured side by side.

#ifndef OKMS_TESTS_BENCH_COMPARISON_H_
#define OKMS_TESTS_BENCH_COMPARISON_H_

#include <functional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace okms::test {

// Of an even number, the mean of the two in the middle; of none, 0.
double Median(std::vector<double> values);

// Of each number that the objects have, at whatever depth, under the same names; of those that have
// it. Not of errors_by_text.
nlohmann::json Medians(const std::vector<nlohmann::json>& objects);

// Each number of `left` by that of the same name in `right`; null where that is missing or 0.
nlohmann::json Ratios(const nlohmann::json& left, const nlohmann::json& right);

// Measures one and other in pairs, `rounds` of them, and takes turns in who comes first: what else
// the machine does meets both. Returns rounds; this and other, the figures of each round; median,
// with this and other; ratio, of this by other.
nlohmann::json Compare(int rounds, const std::function<nlohmann::json()>& one,
                       const std::function<nlohmann::json()>& other);

// Whether a call failed, of the figures of one plugin or in any round of a comparison.
bool HasErrors(const nlohmann::json& figures);

// The medians and ratios of what Compare returned, a row for each number.
std::string MarkdownTable(const nlohmann::json& comparison);

}  // namespace okms::test

#endif  // OKMS_TESTS_BENCH_COMPARISON_H_

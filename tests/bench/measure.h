// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The measurements of one plugin.

#ifndef OKMS_TESTS_BENCH_MEASURE_H_
#define OKMS_TESTS_BENCH_MEASURE_H_

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "bench/options.h"

namespace okms::test {

// Each blocks, returns figures, and throws std::runtime_error when there is nothing to measure.
// With `options.socket`, of `options` only what is about the measurement counts. What Meter and
// Sample have is in all of them but Start's.

// `options.clients` threads, each with a record of its own and one call under way at a time, for
// `options.seconds`. Besides: beside (a sample), if there are such clients.
nlohmann::json Load(const Options& options);

// All records at once; beside them Status each 10 ms and Encrypt each 100 ms, on the first
// connection, as an apiserver has one for all. Besides: status and encrypt (samples). seconds is
// until the last record is decrypted.
nlohmann::json Herd(const Options& options);

// Each record once, `options.in_flight` at a time: what an apiserver does when it starts.
nlohmann::json ColdStart(const Options& options);

// Runs `options.command` until it has answered Status, and ends it. listening_ms and
// first_answer_ms since the start of the process; memory after that answer. A plugin that does not
// answer within ten seconds, or with an error, is a failure.
nlohmann::json Start(const Options& options);

}  // namespace okms::test

#endif  // OKMS_TESTS_BENCH_MEASURE_H_

// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "ctl/bus_report.h"

#include <systemd/sd-bus.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <memory>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "control/bus_name.h"

namespace okms::ctl {
namespace {

struct Free {
  void operator()(sd_bus* bus) const { sd_bus_close_unref(bus); }
  void operator()(sd_bus_message* message) const { sd_bus_message_unref(message); }
};
using BusPtr = std::unique_ptr<sd_bus, Free>;

absl::Status Failed(const char* what, int result) {
  return ErrnoStatus(absl::StatusCode::kUnavailable, what, -result);
}

struct BusError : sd_bus_error {
  BusError() : sd_bus_error{} {}  // as SD_BUS_ERROR_NULL, which is no C++
  ~BusError() { sd_bus_error_free(this); }
  BusError(const BusError&) = delete;
  BusError& operator=(const BusError&) = delete;
};

uint64_t Left(Deadline deadline) {
  const auto left =
      std::chrono::duration_cast<std::chrono::microseconds>(deadline - Clock::now()).count();
  return static_cast<uint64_t>(std::max<decltype(left)>(left, 1));
}

// sd-bus's own calls wait for a bus that says nothing for as long as 90 seconds.
absl::Status AwaitHello(sd_bus* bus, Deadline deadline) {
  for (int ready = 0; ready == 0; ready = sd_bus_is_ready(bus)) {
    if (Expired(deadline)) return absl::DeadlineExceededError("the bus does not answer");
    int done = sd_bus_process(bus, nullptr);
    if (done == 0) done = sd_bus_wait(bus, Left(deadline));
    if (done < 0) return Failed("the system bus", done);
  }
  return absl::OkStatus();
}

absl::Status StatusOf(const sd_bus_error& error, int result) {
  if (sd_bus_error_has_name(&error, SD_BUS_ERROR_SERVICE_UNKNOWN) > 0 ||
      sd_bus_error_has_name(&error, SD_BUS_ERROR_NAME_HAS_NO_OWNER) > 0) {
    return absl::NotFoundError("nobody has that name on the system bus");
  }
  if (sd_bus_error_has_name(&error, SD_BUS_ERROR_ACCESS_DENIED) > 0) {
    return absl::PermissionDeniedError("the bus's policy does not let this user ask");
  }
  if (sd_bus_error_has_name(&error, SD_BUS_ERROR_NO_REPLY) > 0 || result == -ETIMEDOUT) {
    return absl::DeadlineExceededError("no answer in time");
  }
  return Failed("the call", result);
}

}  // namespace

std::string BusNameOf(const std::string& instance) {
  return BusNames(instance.empty() ? "" : absl::StrCat("/plugin@", instance, ".service")).back();
}

absl::StatusOr<Json> BusReport(const std::string& name, Deadline deadline) {
  sd_bus* opened = nullptr;
  if (const int result = sd_bus_open_system(&opened); result < 0) {
    return ErrnoStatus(absl::StatusCode::kNotFound, "no system bus", -result);
  }
  const BusPtr bus(opened);
  OKMS_RETURN_IF_ERROR(AwaitHello(bus.get(), deadline));
  sd_bus_set_method_call_timeout(bus.get(), Left(deadline));
  BusError error;
  sd_bus_message* answered = nullptr;
  const int result = sd_bus_call_method(bus.get(), name.c_str(), BusPath().c_str(), kBusInterface,
                                        "GetReport", &error, &answered, "");
  if (result < 0) return StatusOf(error, result);
  const std::unique_ptr<sd_bus_message, Free> answer(answered);
  const char* text = nullptr;
  if (sd_bus_message_read(answer.get(), "s", &text) < 0 || std::strlen(text) > kLargestReport) {
    return absl::UnavailableError("the answer is no report");
  }
  return ParseReport(text);
}

}  // namespace okms::ctl

// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "control/bus_object.h"

#include <systemd/sd-bus.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "base/status.h"
#include "control/bus_name.h"
#include "control/report_json.h"

namespace okms {
namespace {

int Append(sd_bus_message* to, bool value) { return sd_bus_message_append(to, "b", int{value}); }
int Append(sd_bus_message* to, uint64_t value) { return sd_bus_message_append(to, "t", value); }
int Append(sd_bus_message* to, const std::string& value) {
  return sd_bus_message_append(to, "s", value.c_str());
}
int Append(sd_bus_message* to, const BusFacts::Endpoint& value) {
  return sd_bus_message_append(to, "(sbs)", value.name.c_str(), int{value.up},
                               value.trouble.c_str());
}
int Append(sd_bus_message* to, const std::pair<const std::string, uint64_t>& value) {
  return sd_bus_message_append(to, "{st}", value.first.c_str(), value.second);
}

template <typename Container>
int AppendArray(sd_bus_message* to, const char* element, const Container& values) {
  int result = sd_bus_message_open_container(to, 'a', element);
  for (const auto& value : values) {
    if (result >= 0) result = Append(to, value);
  }
  return result < 0 ? result : sd_bus_message_close_container(to);
}
int Append(sd_bus_message* to, const std::vector<std::string>& values) {
  return AppendArray(to, "s", values);
}
int Append(sd_bus_message* to, const std::vector<BusFacts::Endpoint>& values) {
  return AppendArray(to, "(sbs)", values);
}
int Append(sd_bus_message* to, const std::map<std::string, uint64_t>& values) {
  return AppendArray(to, "{st}", values);
}

// A null-terminated list of the properties whose change is told.
std::vector<const char*> Changed(const BusFacts& from, const BusFacts& to) {
  std::vector<const char*> names;
  const auto compare = [&](auto member, const char* name) {
    if (from.*member != to.*member) names.push_back(name);
  };
  compare(&BusFacts::ready, "Ready");
  compare(&BusFacts::reason, "Reason");
  compare(&BusFacts::key_id_hash, "KeyIdHash");
  compare(&BusFacts::endpoints, "Endpoints");
  compare(&BusFacts::last_errors, "LastErrors");
  compare(&BusFacts::certificate_not_after, "CertificateNotAfter");
  names.push_back(nullptr);
  return names;
}

}  // namespace

struct BusObject::Callbacks {
  static BusObject& Of(void* userdata) { return *static_cast<BusObject*>(userdata); }

  template <auto kMember>
  static int Get(sd_bus*, const char*, const char*, const char*, sd_bus_message* reply,
                 void* userdata, sd_bus_error*) {
    return Append(reply, Of(userdata).facts_.*kMember);
  }

  static int GetReport(sd_bus_message* call, void* userdata, sd_bus_error*) {
    BusObject& self = Of(userdata);
    if (self.json_.empty()) self.json_ = ReportJson(self.report_);
    return sd_bus_reply_method_return(call, "s", self.json_.c_str());
  }
  static int CheckNow(sd_bus_message* call, void* userdata, sd_bus_error*) {
    return Of(userdata).AskWhose(call, Of(userdata).parts_.check_now);
  }
  static int Reload(sd_bus_message* call, void* userdata, sd_bus_error*) {
    return Of(userdata).AskWhose(call, Of(userdata).parts_.reload);
  }

  static int Answered(sd_bus_message* answer, void* userdata, sd_bus_error*) {
    const Order& order = *static_cast<const Order*>(userdata);
    uint32_t uid = UINT32_MAX;
    if (sd_bus_message_read(answer, "u", &uid) >= 0 && uid == 0) {
      order.act();
      sd_bus_reply_method_return(order.call, "");
    } else {
      sd_bus_reply_method_errorf(order.call, SD_BUS_ERROR_ACCESS_DENIED, "this is for root");
    }
    order.self.orders_.remove_if([&](const Order& one) { return &one == &order; });
    return 1;
  }

  static const sd_bus_vtable kTable[];
};

// Unprivileged: or sd-bus would ask the kernel, and wait for the bus to say, what the caller may.
// Who may call what is decided by the bus's policy and by AskWhose.
const sd_bus_vtable BusObject::Callbacks::kTable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_PROPERTY("Version", "s", Get<&BusFacts::version>, 0, SD_BUS_VTABLE_PROPERTY_CONST),
    SD_BUS_PROPERTY("Protocol", "s", Get<&BusFacts::protocol>, 0, SD_BUS_VTABLE_PROPERTY_CONST),
    SD_BUS_PROPERTY("Sandbox", "s", Get<&BusFacts::sandbox>, 0, SD_BUS_VTABLE_PROPERTY_CONST),
    SD_BUS_PROPERTY("Ready", "b", Get<&BusFacts::ready>, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_PROPERTY("Reason", "s", Get<&BusFacts::reason>, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_PROPERTY("KeyIdHash", "s", Get<&BusFacts::key_id_hash>, 0,
                    SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_PROPERTY("Endpoints", "a(sbs)", Get<&BusFacts::endpoints>, 0,
                    SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_PROPERTY("LastErrors", "as", Get<&BusFacts::last_errors>, 0,
                    SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_PROPERTY("CertificateNotAfter", "a{st}", Get<&BusFacts::certificate_not_after>, 0,
                    SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_PROPERTY("Requests", "t", Get<&BusFacts::requests>, 0, 0),
    SD_BUS_PROPERTY("Failures", "t", Get<&BusFacts::failures>, 0, 0),
    SD_BUS_PROPERTY("KmsRequests", "t", Get<&BusFacts::kms_requests>, 0, 0),
    SD_BUS_PROPERTY("KmsFailures", "t", Get<&BusFacts::kms_failures>, 0, 0),
    SD_BUS_PROPERTY("Adoptions", "t", Get<&BusFacts::adoptions>, 0, 0),
    SD_BUS_METHOD_WITH_NAMES("GetReport", "", "", "s", SD_BUS_PARAM(report), GetReport,
                             SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("CheckNow", "", "", CheckNow, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("Reload", "", "", Reload, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_SIGNAL_WITH_NAMES("KeyAdopted", "s", SD_BUS_PARAM(id_hash), 0),
    SD_BUS_SIGNAL_WITH_NAMES("ReadinessChanged", "bs", SD_BUS_PARAM(ready) SD_BUS_PARAM(reason), 0),
    SD_BUS_VTABLE_END,
};

BusObject::Order::Order(BusObject& object, const std::function<void()>& action,
                        sd_bus_message* message)
    : self(object), act(action), call(sd_bus_message_ref(message)) {}

BusObject::Order::~Order() {
  sd_bus_slot_unref(question);
  sd_bus_message_unref(call);
}

BusObject::BusObject(Parts parts) : parts_(std::move(parts)) {
  TakeReport();
  told_ = facts_;
}

BusObject::~BusObject() = default;

absl::Status BusObject::AddTo(SystemBus& bus) {
  bus_ = &bus;
  const int result = sd_bus_add_object_vtable(bus.get(), nullptr, BusPath().c_str(), kBusInterface,
                                              Callbacks::kTable, this);
  if (result >= 0) return absl::OkStatus();
  return ErrnoStatus(absl::StatusCode::kInternal, "sd-bus: object", -result);
}

void BusObject::TakeReport() {
  report_ = parts_.report();
  json_.clear();
  last_errors_.Saw(report_);
  facts_ = FactsOf(report_);
  facts_.last_errors = last_errors_.Lines();
}

void BusObject::Tick() {
  TakeReport();
  if (bus_ == nullptr || !bus_->AllIsWritten()) return;
  sd_bus* const bus = bus_->get();
  const std::string path = BusPath();
  const std::vector<const char*> changed = Changed(told_, facts_);
  if (changed.size() > 1) {
    sd_bus_emit_properties_changed_strv(bus, path.c_str(), kBusInterface,
                                        const_cast<char**>(changed.data()));
  }
  if (told_.ready != facts_.ready) {
    sd_bus_emit_signal(bus, path.c_str(), kBusInterface, "ReadinessChanged", "bs",
                       int{facts_.ready}, facts_.reason.c_str());
  }
  if (told_.key_id_hash != facts_.key_id_hash && !facts_.key_id_hash.empty()) {
    sd_bus_emit_signal(bus, path.c_str(), kBusInterface, "KeyAdopted", "s",
                       facts_.key_id_hash.c_str());
  }
  told_ = facts_;
  bus_->Sent();
}

int BusObject::AskWhose(sd_bus_message* call, const std::function<void()>& act) {
  if (orders_.size() == kMostOrders) {
    return sd_bus_reply_method_errorf(call, SD_BUS_ERROR_LIMITS_EXCEEDED, "others wait; try again");
  }
  Order& order = orders_.emplace_back(*this, act, call);
  const int result = sd_bus_call_method_async(bus_->get(), &order.question, "org.freedesktop.DBus",
                                              "/org/freedesktop/DBus", "org.freedesktop.DBus",
                                              "GetConnectionUnixUser", Callbacks::Answered, &order,
                                              "s", sd_bus_message_get_sender(call));
  if (result < 0) orders_.pop_back();
  return result;  // an error is answered by sd-bus
}

}  // namespace okms

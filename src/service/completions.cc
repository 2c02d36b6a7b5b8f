// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "service/completions.h"

namespace okms {

Completions::Tag::~Tag() {
  if (--completions_.tags_ == 0) completions_.tags_.notify_all();
}

void Completions::Call::Completed(bool ok) {
  if (came_ || !ok) {  // answered, or nobody will come any more
    delete this;
    return;
  }
  came_ = true;
  ExpectNext();
  Came();
}

void Completions::Start() {
  thread_ = std::thread([this] {
    void* tag = nullptr;
    bool ok = false;
    while (queue_->Next(&tag, &ok)) static_cast<Tag*>(tag)->Completed(ok);
  });
}

Completions::~Completions() {
  while (const std::size_t left = tags_) tags_.wait(left);
  queue_->Shutdown();
  if (thread_.joinable()) thread_.join();
}

}  // namespace okms

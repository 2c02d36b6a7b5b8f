// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The thread that moves the service. For KmsServer alone.

#ifndef OKMS_SERVICE_COMPLETIONS_H_
#define OKMS_SERVICE_COMPLETIONS_H_

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <cstddef>
#include <memory>
#include <thread>
#include <utility>

namespace okms {

// gRPC's callback API has at least two threads, which hand its one epoll over to each other at each
// step of a call, and sleep for a tenth of a second, deaf, after each second without a call. So we
// have its completion queue, and one thread of ours waits for that, reads requests, and takes them
// to whom they are for. It must never be blocked.
class Completions {
 public:
  // What an operation of gRPC's is begun with, as its tag. All of them go before the queue does.
  class Tag {
   public:
    explicit Tag(Completions& completions) : completions_(completions) { ++completions_.tags_; }
    Tag(const Tag&) = delete;
    Tag& operator=(const Tag&) = delete;

    // The operation is over; not `ok`: the connection is broken, or the server stops. Called by the
    // queue's thread. May delete this.
    virtual void Completed(bool ok) = 0;

   protected:
    ~Tag();
    Completions& completions() const { return completions_; }

   private:
    Completions& completions_;
  };

  // A call from when it is waited for until its answer has left: its own tag for both. Owns itself.
  class Call : public Tag {
   protected:
    using Tag::Tag;
    virtual ~Call() = default;

    // It is there, and the answer is due. The queue's thread has it until it is asked for, and then
    // whoever answers it; which is the last that is done to it.
    virtual void Came() = 0;
    // Another one of the same method is to be waited for.
    virtual void ExpectNext() = 0;

   private:
    void Completed(bool ok) final;

    bool came_ = false;
  };

  explicit Completions(std::unique_ptr<grpc::ServerCompletionQueue> queue)
      : queue_(std::move(queue)) {}
  // The server has been shut down. Waits for the last tag.
  ~Completions();
  Completions(const Completions&) = delete;
  Completions& operator=(const Completions&) = delete;

  // Once. Throws std::system_error when there is no thread.
  void Start();

  grpc::ServerCompletionQueue* queue() const { return queue_.get(); }

 private:
  const std::unique_ptr<grpc::ServerCompletionQueue> queue_;
  std::atomic<std::size_t> tags_ = 0;
  std::thread thread_;
};

}  // namespace okms

#endif  // OKMS_SERVICE_COMPLETIONS_H_

// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Overwrites every block of the heap when it is freed, whoever frees it: gRPC, protobuf, OpenSSL,
// libcurl and the JSON parser make copies of secrets that our own types cannot reach.
//
// mallopt(M_PERTURB) is made for that and does not do it: glibc's per-thread cache takes blocks of
// up to 1032 bytes back as they are, which is nearly all of them. So we stand in front of free(3)
// and realloc(3), as glibc lets a program do ("Replacing malloc" in its manual), and pass on to it.
//
// With another malloc (LD_PRELOAD, as NixOS's hardened profile has it for the whole machine) ours
// is still the first free, and theirs is the next. Their operator delete does not come by here.
//
// Linked into the program itself, so that its libraries use it too. Not with sanitizers, which
// stand there themselves.

#include "base/wiping_heap.h"

#ifndef OKMS_SANITIZED

#include <dlfcn.h>
#include <gnu/libc-version.h>
#include <malloc.h>
#include <string.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdlib>

namespace {

using Free = void (*)(void*);

// That of the allocator whose malloc the program uses; null while it is being looked for, since
// that may free in turn. First asked for by the loader, when there is one thread.
Free NextFree() {
  static std::atomic<Free> next;
  static std::atomic<bool> looking;
  if (const Free known = next.load(std::memory_order_acquire)) return known;
  if (looking.exchange(true)) return nullptr;
  next = reinterpret_cast<Free>(::dlsym(RTLD_NEXT, "free"));
  return next;
}

}  // namespace

extern "C" void free(void* block) noexcept {
  if (block == nullptr) return;
  ::explicit_bzero(block, ::malloc_usable_size(block));
  if (const Free next = NextFree()) next(block);
}

extern "C" void* realloc(void* block, std::size_t size) noexcept {
  if (block == nullptr) return std::malloc(size);
  if (size == 0) {
    std::free(block);
    return nullptr;
  }
  // Blocks that grow or shrink by a little stay where they are; others move, as glibc's may.
  const std::size_t usable = ::malloc_usable_size(block);
  if (size <= usable && size >= usable / 2) return block;
  void* const moved = std::malloc(size);
  if (moved == nullptr) return nullptr;
  ::memcpy(moved, block, std::min(size, usable));
  std::free(block);
  return moved;
}

namespace okms {
bool HeapIsWiped() {
  const auto library = [](auto* function) {
    Dl_info info{};
    ::dladdr(reinterpret_cast<const void*>(function), &info);
    return info.dli_fbase;
  };
  return library(NextFree()) == library(::gnu_get_libc_version);
}
}  // namespace okms

#else

namespace okms {
bool HeapIsWiped() { return true; }
}  // namespace okms

#endif

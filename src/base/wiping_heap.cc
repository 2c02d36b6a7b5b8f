// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Overwrites every block of the heap when it is freed, whoever frees it: gRPC, protobuf, OpenSSL,
// libcurl and the JSON parser make copies of secrets that our own types cannot reach.
//
// mallopt(M_PERTURB) is made for that and does not do it: glibc's per-thread cache takes blocks of
// up to 1032 bytes back as they are, which is nearly all of them. So we stand in front of free(3)
// and realloc(3), as glibc lets a program do ("Replacing malloc" in its manual), and pass on to it.
//
// Linked into the program itself, so that its libraries use it too. Not with sanitizers, which
// stand there themselves.

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

#include <malloc.h>
#include <string.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>

// glibc's own, under the names that it keeps for this purpose.
extern "C" void __libc_free(void* block);  // NOLINT(bugprone-reserved-identifier)

extern "C" void free(void* block) noexcept {
  if (block == nullptr) return;
  ::explicit_bzero(block, ::malloc_usable_size(block));
  __libc_free(block);
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

#endif

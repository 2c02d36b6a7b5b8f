// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#ifndef OKMS_BASE_WIPING_HEAP_H_
#define OKMS_BASE_WIPING_HEAP_H_

namespace okms {

// Whether all that is freed is overwritten. Not with another malloc than glibc's, which may bring
// an operator delete of its own. A build with sanitizers, for tests only, says yes and wipes none.
bool HeapIsWiped();

// What to say when it is not.
inline constexpr char kHeapIsNotWiped[] =
    "another malloc than the C library's is preloaded (LD_PRELOAD, /etc/ld.so.preload): what C++ "
    "code frees is overwritten only if it does so itself; start this service without it";

}  // namespace okms

#endif  // OKMS_BASE_WIPING_HEAP_H_

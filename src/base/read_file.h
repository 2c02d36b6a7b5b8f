// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// How a file is read that somebody else may have put in place of what it should be.

#ifndef OKMS_BASE_READ_FILE_H_
#define OKMS_BASE_READ_FILE_H_

#include <sys/types.h>

#include <cstdint>
#include <span>
#include <string>

#include "base/unique_fd.h"

namespace okms {

// For reading. Does not wait for who writes to a FIFO, nor gets a terminal for good. None with
// errno.
UniqueFd OpenToRead(const std::string& path);

// How many bytes there were, up to all of `bytes`; -1 with errno. Waits for the disk alone, if it
// is a regular file.
ssize_t ReadInto(int fd, std::span<uint8_t> bytes);

}  // namespace okms

#endif  // OKMS_BASE_READ_FILE_H_

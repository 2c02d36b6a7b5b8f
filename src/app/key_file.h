// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The file of --encryption-key-id-file, which may come to hold another id.

#ifndef OKMS_APP_KEY_FILE_H_
#define OKMS_APP_KEY_FILE_H_

#include <functional>
#include <string>

#include "base/log.h"
#include "config/config.h"
#include "core/key_name.h"

namespace okms {

// For one thread. Without such a file in the configuration it does nothing.
class KeyFile {
 public:
  // `use` takes each id that is another one than before. Both references must outlive it.
  KeyFile(const Config& config, const Logger& log, std::function<void(KeyId)> use);

  // Reads it again; waits for nothing but the disk. A file that cannot be used changes nothing: a
  // line says so, one for each reason in a row.
  void Read();

  bool is_there() const { return !config_.key_id_file.path.empty(); }
  // For a line of state, as long as it lasts; empty: all is well.
  const std::string& trouble() const { return trouble_; }

 private:
  const Config& config_;
  const Logger& log_;
  const std::function<void(KeyId)> use_;
  std::string named_;  // the id that was read last
  std::string trouble_;
};

}  // namespace okms

#endif  // OKMS_APP_KEY_FILE_H_

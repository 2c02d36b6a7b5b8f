// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// From when until when the certificates of our files are valid.

#ifndef OKMS_NET_VALIDITY_H_
#define OKMS_NET_VALIDITY_H_

#include <ctime>
#include <optional>
#include <string>
#include <vector>

#include "net/openssl_ptr.h"

namespace okms {

// What is wrong with time is a state, not a mistake in the configuration: it comes while the plugin
// runs, it ends when a clock is set, and only the KMS can tell whether its clock says the same.
// Pure: the time is given. Immutable once it is complete; thread-safe then.
class Validity {
 public:
  struct Period {
    std::time_t from;
    std::time_t until;
  };
  // A file that is good while any of its certificates is valid: our own alone, or some CAs.
  // `option` named it. None at all is no file.
  void Add(const std::string& option, const std::string& path, std::vector<Period> certificates);

  // What is to be said about a file.
  struct Remark {
    std::string option;  // that named the file
    bool wrong;          // it is not good; else it soon will not be
    bool early;          // it is not good yet
    std::string what;    // "--client-cert FILE: expired on 2026-11-27 01:59:46 UTC"
    std::string remedy;  // with the date that the clock says, or the time that is left
    std::time_t since;   // when it came due; the same words from another time on are another one
    std::string Text() const { return what + "; " + remedy; }
  };
  // Of each file what is to be said then, if anything: that it is not good, from its end on another
  // one each day; or that it will end, another one each time when one of these is left: 30, 14, 7,
  // 3 days, 1 day; of a life of less than 90 days a third, a tenth.
  std::vector<Remark> Remarks(std::time_t now) const;

  // That of the first file that is not good then.
  std::optional<Remark> At(std::time_t now) const;

  // For a line of state: "--client-cert until 2026-11-27", of the file that is good for the
  // shortest time, or that it has expired; and of others that end soon. When that is soon, with the
  // time that is left. Empty when there is no file.
  std::string Summary(std::time_t now) const;

  // When each file stops being good.
  struct FileEnd {
    std::string option;
    std::string path;
    std::time_t from;
    std::time_t until;
  };
  std::vector<FileEnd> Ends() const;

  // When the first file stops being good; none when there is no file.
  std::optional<std::time_t> End() const;

 private:
  struct File {
    std::string option;
    std::string path;
    std::vector<Period> certificates;  // at least one

    // The one that ends last, and the file with it.
    const Period& Last() const;
    std::optional<Remark> At(std::time_t now) const;
  };
  const File* First() const;

  std::vector<File> files_;
};

Validity::Period PeriodOf(const X509* certificate);
// Each certificate's, in their order.
std::vector<Validity::Period> PeriodsOf(const std::vector<X509Ptr>& certificates);

}  // namespace okms

#endif  // OKMS_NET_VALIDITY_H_

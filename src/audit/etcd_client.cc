// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "audit/etcd_client.h"

#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "audit/etcd_error.h"
#include "base/status.h"
#include "etcd/rpc.grpc.pb.h"
#include "net/pem_file.h"
#include "net/tls_context.h"

namespace okms::audit {
namespace {

constexpr std::chrono::seconds kBetweenRounds{1};  // an election of a leader takes one or two

absl::StatusOr<std::string> TextOf(const NamedFile& file) {
  if (file.path.empty()) return "";
  OKMS_ASSIGN_OR_RETURN(const PemFile pem, ReadPemFile(file));
  return std::string(pem.text());
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> TlsOf(const EtcdOptions& options) {
  if (options.cert.empty() != options.key.empty()) {
    return absl::InvalidArgumentError("give both --etcd-cert and --etcd-key, or none");
  }
  const TlsFiles files{
      {"--etcd-cert", options.cert}, {"--etcd-key", options.key}, {"--etcd-cacert", options.ca}};
  // gRPC would not say what is wrong with a file.
  if (!options.cert.empty()) OKMS_RETURN_IF_ERROR(TlsContext::Create(files).status());
  grpc::SslCredentialsOptions ssl;
  OKMS_ASSIGN_OR_RETURN(ssl.pem_root_certs, TextOf(files.ca));
  OKMS_ASSIGN_OR_RETURN(ssl.pem_cert_chain, TextOf(files.client_cert));
  OKMS_ASSIGN_OR_RETURN(ssl.pem_private_key, TextOf(files.client_key));
  return grpc::SslCredentials(ssl);
}

std::shared_ptr<grpc::Channel> ChannelTo(
    const EtcdEndpoint& endpoint, const std::shared_ptr<grpc::ChannelCredentials>& credentials,
    int most_bytes) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(most_bytes);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);  // etcd is never behind one
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  return grpc::CreateCustomChannel(absl::StrCat("dns:///", endpoint.server.ToString()), credentials,
                                   arguments);
}

}  // namespace

absl::StatusOr<EtcdClient> EtcdClient::Create(const EtcdOptions& options) {
  EtcdClient client;
  client.patience_ = options.patience;
  OKMS_ASSIGN_OR_RETURN(client.endpoints_, ParseEtcdEndpoints(options.endpoints));
  const auto is_tls = [](const EtcdEndpoint& endpoint) { return endpoint.tls; };
  std::shared_ptr<grpc::ChannelCredentials> tls;
  if (std::any_of(client.endpoints_.begin(), client.endpoints_.end(), is_tls)) {
    OKMS_ASSIGN_OR_RETURN(tls, TlsOf(options));
  } else if (!options.ca.empty() || !options.cert.empty() || !options.key.empty()) {
    return absl::InvalidArgumentError(
        "--etcd-cacert, --etcd-cert and --etcd-key are for endpoints of https://");
  }
  for (const EtcdEndpoint& endpoint : client.endpoints_) {
    client.channels_.push_back(ChannelTo(
        endpoint, endpoint.tls ? tls : grpc::InsecureChannelCredentials(), options.most_bytes));
  }
  return client;
}

absl::Status EtcdClient::Explain(const grpc::Status& status) const {
  return ExplainEtcdError(
      {static_cast<absl::StatusCode>(status.error_code()), status.error_message()},
      endpoints_[current_]);
}

absl::StatusOr<etcdserverpb::RangeResponse> EtcdClient::Range(
    const etcdserverpb::RangeRequest& request, int rounds) {
  absl::Status failure;
  for (int round = 0; round < rounds; ++round) {
    if (round > 0) std::this_thread::sleep_for(kBetweenRounds);
    for (std::size_t tried = 0; tried < endpoints_.size(); ++tried) {
      grpc::ClientContext context;
      context.set_deadline(std::chrono::system_clock::now() + patience_);
      etcdserverpb::RangeResponse response;
      const grpc::Status status =
          etcdserverpb::KV::NewStub(channel())->Range(&context, request, &response);
      if (status.ok()) return response;
      failure = Explain(status);
      if (!MayBeElsewhere(failure)) return failure;
      UseNext();
    }
  }
  return failure;
}

bool MayBeElsewhere(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
}

std::string EndOfPrefix(absl::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && end.back() == '\xff') end.pop_back();
  if (end.empty()) return std::string(1, '\0');  // to etcd: the end of all
  end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  return end;
}

std::string StartOfPrefix(absl::string_view prefix) {
  return prefix.empty() ? std::string(1, '\0') : std::string(prefix);
}

}  // namespace okms::audit

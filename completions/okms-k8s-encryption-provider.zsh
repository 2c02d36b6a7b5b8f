#compdef okms-k8s-encryption-provider
# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0

_arguments \
  '(- *)'{-h,--help}'[print the help and exit]' \
  '(- *)--version[print the version and exit]' \
  '--check-config[say what is wrong with the configuration, and exit]' \
  '--debug[log the course of events in detail]' \
  '--log-format=[form of the log]:form:(auto text json)' \
  '--protocol=[protocol of the KMS]:protocol:(kmip rest)' \
  '(--serv-addr --kmip-addr)'{--serv-addr=,--kmip-addr=}'[the KMS]:host\:port or https\://host: ' \
  '--timeout=[bound of one operation]:duration: ' \
  '--max-connections=[connections to the KMS at most]:number: ' \
  '--okms-id=[id of the OKMS domain]:UUID: ' \
  '(--encryption-key-id --kmip-key-id)'{--encryption-key-id=,--kmip-key-id=}'[id of the key]:id: ' \
  '--encryption-key-label=[label of the key]:label: ' \
  '--encryption-key-id-file=[file that holds the id of the key]:file:_files' \
  '--label-grace=[how long the label may lead astray]:duration: ' \
  '--client-cert=[PEM file of the client certificate]:file:_files' \
  '--client-key=[PEM file of its key]:file:_files' \
  '--ca=[PEM file of the CA of the KMS]:file:_files' \
  '--ca-only[trust only --ca with rest too]' \
  '--sock=[unix socket to listen on]:socket:_files' \
  '--sock-group=[group of the socket file]:group:_groups' \
  '*--allow-uid=[a user that may connect]:user:_users' \
  '*--allow-gid=[a group that may connect]:group:_groups' \
  '--status-listen=[where to serve status pages]:unix\:/path or host\:port: ' \
  '--status-listen-anywhere[let --status-listen name any address]' \
  '--user=[whom to become when root started it]:user:_users'
